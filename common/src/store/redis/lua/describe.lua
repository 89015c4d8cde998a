-- Describes a dead letter, unless a newer one of the same task is described.
--
-- ARGV[1..7]: task id, replay, attempt, queue, place, ttl in ms, the description as JSON.
-- Answers: described, older.

local id, queue, place, ttl = ARGV[1], ARGV[4], ARGV[5], ARGV[6]
local stored = read_letter(id)

if stored then
  if before({ replay = tonumber(ARGV[2]), attempt = tonumber(ARGV[3]) }, stored) then
    return 'older'
  end
  if stored.queue ~= queue or stored.place ~= place then
    unlist(stored.queue, stored.place)
  end
end
redis.call('SET', letter_key(id), ARGV[7], 'PX', ttl)
redis.call('ZADD', list_key(queue), 0, place)
redis.call('SADD', QUEUES, queue)
redis.call('ZADD', ENDS, string.format('%.0f', now_ms() + tonumber(ttl)), queue .. ' ' .. place)
for _, key in ipairs({ list_key(queue), QUEUES, ENDS }) do
  redis.call('PEXPIRE', key, ttl)
end
return 'described'
