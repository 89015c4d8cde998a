-- Has rows wait for so many seconds, with the reason.
update leveret_outbox as entry
set next_at = clock_timestamp() + make_interval(secs => told.wait), problem = told.problem, tries = entry.tries + 1
from unnest($1, $2, $3) as told (seq, problem, wait)
where entry.seq = told.seq
