-- Moves a position, where it is the expected one and its epoch is no later.
--
-- ARGV[1..4]: name, the seq that is expected ('' for none), the position, how many occurrences are
-- kept; then the occurrences on the way. Answers {'moved'}, {'gone'}, or {'elsewhere', position}.

local name, position = ARGV[1], ARGV[3]

if not is_there(name) then
  return { 'gone' }
end
local stored = read_position(name)
if stored then
  -- The answer to the first of two equal requests was lost.
  if stored.text == position then
    return { 'moved' }
  end
  local epoch = string.match(position, '^%d+ (%d+) ')
  if stored.seq ~= ARGV[2] or less(epoch, stored.epoch) then
    return { 'elsewhere', stored.text }
  end
end
redis.call('HSET', POSITIONS, name, position)
append(name, ARGV[4], 5)
return { 'moved' }
