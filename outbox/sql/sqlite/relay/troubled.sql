-- Shows rows that were refused, then those that failed and are tried again.
select * from (
    select seq, kind, coalesce(problem, ''), 1 as is_final
    from leveret_outbox where refused_at is not null order by seq limit ?1)
union all
select * from (
    select seq, kind, problem, 0
    from (select seq, kind, problem from leveret_outbox
          where sent_at is null and refused_at is null order by seq limit ?2)
    where problem is not null limit ?1)
