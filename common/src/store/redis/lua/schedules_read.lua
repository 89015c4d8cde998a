-- Reads schedules.
--
-- ARGV[1]: after how many bytes to stop; then the names. Answers {entry, position, …} of the first
-- of them, at least of one.

local room = tonumber(ARGV[1])
local answer = {}

for at = 2, #ARGV do
  local entry = redis.call('HGET', ENTRIES, ARGV[at])
  answer[#answer + 1] = entry
  answer[#answer + 1] = redis.call('HGET', POSITIONS, ARGV[at])
  room = room - (entry and #entry or 0)
  if room <= 0 then
    break
  end
end
return answer
