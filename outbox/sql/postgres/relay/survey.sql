-- Counts rows that wait, those of them that failed, and those that were refused, each up to a limit; and says for
-- how many seconds the first has been waiting.
select waiting.found, waiting.failing, refused.found,
       (select case when isfinite(created_at) then extract(epoch from clock_timestamp() - created_at)::float8 end
        from leveret_outbox where sent_at is null and refused_at is null order by seq limit 1)
from (select count(*) as found, count(*) filter (where tries > 0) as failing
      from (select tries from leveret_outbox where sent_at is null and refused_at is null limit $1) as part) as waiting,
     (select count(*) as found
      from (select 1 from leveret_outbox where refused_at is not null limit $1) as part) as refused
