-- Takes rows that wait, the first ones first; other relays pass over them until this transaction ends. Those after the
-- first 16 MiB are left for the next time.
with part as materialized (
    select seq, id::text as id, kind, args::text as args, options::text as options,
           case when isfinite(created_at) then extract(epoch from clock_timestamp() - created_at)::float8 else 0 end as age,
           tries
    from leveret_outbox
    where sent_at is null and refused_at is null and (next_at is null or next_at <= clock_timestamp())
    order by seq
    limit $1
    for update skip locked
)
select seq, id, kind, args, options, age, tries
from (select *, sum(octet_length(args) + octet_length(options)) over (order by seq)
                - octet_length(args) - octet_length(options) as before
      from part) as cut
where before < 16777216
order by seq
