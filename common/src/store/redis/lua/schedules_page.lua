-- Lists schedules by name.
--
-- ARGV[1..3]: where to begin ('-', or '(' and a name to begin behind), how many, and after how many
-- bytes to stop. Answers {the last name that was looked at, or '' at the end; name, entry,
-- position, …}.

local most, room = tonumber(ARGV[2]), tonumber(ARGV[3])
local names = redis.call('ZRANGE', NAMES, ARGV[1], '+', 'BYLEX', 'LIMIT', 0, most)
local answer = { #names == most and names[most] or '' }

for at, name in ipairs(names) do
  local entry = redis.call('HGET', ENTRIES, name)
  if entry then
    local size = #answer
    answer[size + 1], answer[size + 2] = name, entry
    answer[size + 3] = redis.call('HGET', POSITIONS, name)
    room = room - #entry
  end
  if room <= 0 and at < #names then
    answer[1] = name
    break
  end
end
return answer
