-- `rules::cancel` (K1).
--
-- ARGV[1..2]: replay, ttl in ms. Answers: {cancelled} {asked, owner, fence} {too late} {over, D…}

local replay, ttl = tonumber(ARGV[1]), ARGV[2]
local entry = read_entry()

if not entry then
  put('C ' .. replay, ttl)
  return { 'cancelled' }
end
if entry.sort == 'W' then
  prolong('C ' .. math.max(entry.replay, replay), ttl)
  return { 'cancelled' }
end
if entry.sort == 'R' then
  entry.cancel = true
  amend('R ' .. write_held(entry))
  return { 'asked', entry.owner, entry.fence }
end
if entry.sort == 'F' then
  return { 'too late' }
end
if entry.replay < replay then
  -- An operator's replay of it waits in its lane.
  prolong('C ' .. replay, ttl)
  return { 'cancelled' }
end
if string.sub(entry.text, 1, 1) == 'C' then
  prolong(entry.text, ttl)
end
return { 'over', entry.text }
