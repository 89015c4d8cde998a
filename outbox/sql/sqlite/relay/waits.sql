-- Has a row wait for so many milliseconds, with the reason.
update leveret_outbox
set next_at = cast((julianday('now') - 2440587.5) * 86400000 as integer) + ?3, problem = ?2, tries = tries + 1
where seq = ?1
