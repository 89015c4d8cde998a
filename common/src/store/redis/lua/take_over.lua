-- `rules::take_over` (C2, C3, C4, C7, P1, P3).
--
-- ARGV[8..10]: expected owner, expected fence, '1' for the orphaned claim of a living owner.

local now = now_us()
local entry = read_entry()

if not entry or entry.sort == 'settled' or entry.sort == 'W' then
  return { 'again' }
end
if entry.owner == ask.owner and entry.token == ask.token then
  return again(entry, now)
end
if entry.owner ~= ARGV[8] or entry.fence ~= ARGV[9] then
  return { 'again' }
end
if entry.sort == 'F' then
  return resume(entry.fence, entry, entry.toll, entry.decision, now)
end
-- What an operator replayed meanwhile was not cancelled with it, and must not be acked for it.
if entry.cancel and ask.replay <= entry.replay then
  return settle('C ' .. entry.replay)
end
if before(entry, ask) then
  -- The dead owner's attempt was left behind by a newer message: no crash (C3).
  return fresh(entry.fence, carried(entry.toll, entry, ask), now)
end
local toll = entry.toll
if ARGV[10] ~= '1' then
  toll = {
    starts = toll.starts, crashes = math.min(toll.crashes + 1, MAX_COUNT), charged = entry.fence,
  }
end
return fresh(entry.fence, toll, now)
