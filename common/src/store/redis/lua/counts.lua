-- Counts the described letters of each queue, without those whose description ended.
--
-- ARGV[1]: how many of these are dropped at most. Answers {queue, count, queue, count…}.

local ended = redis.call(
  'ZRANGE', ENDS, '-inf', string.format('(%.0f', now_ms()), 'BYSCORE', 'LIMIT', 0, ARGV[1]
)
for _, member in ipairs(ended) do
  local queue, place = string.match(member, '^(%S+) (.+)$')
  if queue then
    unlist(queue, place)
  else
    redis.call('ZREM', ENDS, member)
  end
end
local answer = {}
for _, queue in ipairs(redis.call('SMEMBERS', QUEUES)) do
  local count = redis.call('ZCARD', list_key(queue))
  if count > 0 then
    answer[#answer + 1] = queue
    answer[#answer + 1] = tostring(count)
  else
    redis.call('SREM', QUEUES, queue)
  end
end
return answer
