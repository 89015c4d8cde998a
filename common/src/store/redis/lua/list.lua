-- Lists the dead letters of a queue, newest first, and drops the places whose description ended.
--
-- ARGV[1..3]: queue, where to begin ('+', or '(' and a place to begin behind), how many.
-- Answers {the last place that was looked at, or '' at the end of the list; descriptions…}.

local queue, most = ARGV[1], tonumber(ARGV[3])
local places =
  redis.call('ZRANGE', list_key(queue), ARGV[2], '-', 'BYLEX', 'REV', 'LIMIT', 0, most)
local answer = { #places == most and places[most] or '' }

for _, place in ipairs(places) do
  local text = redis.call('GET', letter_key(string.sub(place, 22)))
  if text then
    answer[#answer + 1] = text
  else
    unlist(queue, place)
  end
end
return answer
