-- Deletes rows that were handed on longer ago than so many milliseconds, at most so many.
delete from leveret_outbox where seq in (
    select seq from leveret_outbox
    where sent_at is not null
        and sent_at <= cast((julianday('now') - 2440587.5) * 86400000 as integer) - ?1
    order by sent_at
    limit ?2)
