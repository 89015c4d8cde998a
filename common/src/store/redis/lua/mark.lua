-- `rules::mark` (C5).
--
-- ARGV[4..6]: replay, attempt, and what to remember: 'done', 'waiting' or a dead reason.

local entry = read_entry()
local replay, attempt, marking = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]

local toll
if not entry then
  toll = NO_TOLL
elseif is_ours(entry) and (entry.sort == 'F' or (entry.sort == 'R' and marking == 'done')) then
  toll = entry.toll
else
  return refuse(entry)
end
if marking == 'done' then
  put('D ' .. replay, ttl)
elseif marking == 'waiting' then
  local next_attempt = math.min(attempt + 1, MAX_COUNT)
  put(write_waiting({ replay = replay, attempt = next_attempt, fence = fence, toll = toll }), ttl)
else
  put('X ' .. replay .. ' ' .. marking, ttl)
end
return 'accepted'
