-- Forgets a dead letter, unless another one of the same task is described.
--
-- ARGV[1..4]: task id, replay, attempt, queue. Answers: forgotten, kept, absent.

local id = ARGV[1]
local stored = read_letter(id)

if not stored then
  return 'absent'
end
local gone = { replay = tonumber(ARGV[2]), attempt = tonumber(ARGV[3]) }
if stored.queue ~= ARGV[4] or before(gone, stored) then
  return 'kept'
end
unlist(stored.queue, stored.place)
redis.call('DEL', letter_key(id))
return 'forgotten'
