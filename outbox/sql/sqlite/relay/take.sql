-- Reads rows that wait, the first ones first.
select seq, id, kind, args, options,
       case when typeof(created_at) in ('integer', 'real')
            then cast(cast((julianday('now') - 2440587.5) * 86400000 as integer) - cast(created_at as integer) as integer) end,
       cast(tries as integer)
from leveret_outbox
where sent_at is null and refused_at is null
    and (next_at is null or next_at <= cast((julianday('now') - 2440587.5) * 86400000 as integer))
order by seq
limit ?1
