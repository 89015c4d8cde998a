-- Sets a row aside, with the reason, unless somebody has mended it meanwhile.
update leveret_outbox
set refused_at = cast((julianday('now') - 2440587.5) * 86400000 as integer), problem = ?2, tries = tries + 1,
    next_at = null
where seq = ?1 and kind is ?3 and args is ?4 and options is ?5
