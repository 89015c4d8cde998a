-- What a decide, a mark and a release share: whose claim it is, and the refusal.
--
-- ARGV[1..3]: owner, fence, ttl in ms. Answers: accepted, cancelled, refused.

local owner, fence, ttl = ARGV[1], ARGV[2], ARGV[3]

local function is_ours(entry)
  return entry.owner == owner and entry.fence == fence
end

local function cancelled(entry)
  put('C ' .. entry.replay, ttl)
  return 'cancelled'
end

-- The refused owner lives: it was paused, not crashed, so its charge goes back (P3).
local function refuse(entry)
  local toll = entry.toll
  if (entry.sort == 'R' or entry.sort == 'W') and toll.charged == fence and toll.crashes > 0 then
    entry.toll = { starts = toll.starts, crashes = toll.crashes - 1, charged = '0' }
    amend(entry.sort == 'R' and 'R ' .. write_held(entry) or write_waiting(entry))
  end
  return 'refused'
end
