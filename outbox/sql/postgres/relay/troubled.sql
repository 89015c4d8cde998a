-- Shows rows that were refused, then those that failed and are tried again.
(select seq, kind, coalesce(problem, ''), true
 from leveret_outbox where refused_at is not null order by seq limit $1)
union all
(select seq, kind, problem, false
 from (select seq, kind, problem from leveret_outbox
       where sent_at is null and refused_at is null order by seq limit $2) as part
 where problem is not null limit $1)
