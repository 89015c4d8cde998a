-- Deletes rows that were handed on longer ago than they are kept, at most so many, and says how many.
with old as (
    select seq from leveret_outbox
    where sent_at is not null and sent_at <= clock_timestamp() - make_interval(secs => $1)
    order by sent_at
    limit $2
    for update skip locked
), pruned as (
    delete from leveret_outbox where seq in (select seq from old) returning seq
)
select count(*) from pruned
