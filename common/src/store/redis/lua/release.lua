-- `rules::release`: the same message is awaited again, and the start is not counted.

local entry = read_entry()

if not entry then
  return 'accepted'
end
if entry.sort == 'R' and is_ours(entry) then
  if entry.cancel then
    return cancelled(entry)
  end
  local toll = entry.toll
  entry.toll = {
    starts = math.max(toll.starts - 1, 0), crashes = toll.crashes, charged = toll.charged,
  }
  put(write_waiting(entry), ttl)
  return 'accepted'
end
return refuse(entry)
