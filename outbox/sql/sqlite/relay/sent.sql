-- Notes that a row was handed on.
update leveret_outbox
set sent_at = cast((julianday('now') - 2440587.5) * 86400000 as integer), problem = null
where seq = ?1
