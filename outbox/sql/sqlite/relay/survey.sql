-- Counts rows that wait, those of them that failed, and those that were refused, each up to a limit; and says for
-- how many milliseconds the first has been waiting.
select waiting.found, waiting.failing, refused.found,
       (select case when typeof(created_at) in ('integer', 'real')
            then cast(cast((julianday('now') - 2440587.5) * 86400000 as integer) - cast(created_at as integer) as integer) end
        from leveret_outbox where sent_at is null and refused_at is null order by seq limit 1)
from (select count(*) as found, coalesce(sum(tries > 0), 0) as failing
      from (select tries from leveret_outbox where sent_at is null and refused_at is null limit ?1)) as waiting,
     (select count(*) as found
      from (select 1 from leveret_outbox where refused_at is not null limit ?1)) as refused
