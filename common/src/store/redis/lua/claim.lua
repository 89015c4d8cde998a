-- `rules::claim` (C1, C6, C7).

local now = now_us()
local entry = read_entry()

if not entry then
  return fresh('0', NO_TOLL, now)
end
if entry.sort == 'settled' then
  if ask.replay <= entry.replay then
    return { 'settled', entry.text }
  end
  return fresh('0', NO_TOLL, now)
end
if before(ask, entry) then
  return { 'stale' }
end
if entry.sort == 'W' then
  return fresh(entry.fence, carried(entry.toll, entry, ask), now)
end
if entry.sort == 'R' and entry.owner == ask.owner and entry.token == ask.token then
  return again(entry, now)
end
return { 'busy', entry.owner, entry.fence, whole(math.max(0, now - tonumber(entry.claimed_at))) }
