-- Sets rows aside, with the reason.
update leveret_outbox as entry
set refused_at = clock_timestamp(), problem = told.problem, tries = entry.tries + 1, next_at = null
from unnest($1, $2) as told (seq, problem)
where entry.seq = told.seq
