-- The tail that a claim and a takeover share: `fresh`, `resume` and `settle` of `rules.rs`.
--
-- ARGV[1..7]: replay, attempt, owner, token, expiry in ms or '', crash limit, ttl in ms.
-- Answers carry the entry's text, so that there is one encoding:
-- {claimed, R…} {resume, F…} {settled, D…} {busy, owner, fence, age} {stale} {again}

local ask = {
  replay = tonumber(ARGV[1]), attempt = tonumber(ARGV[2]), owner = ARGV[3], token = ARGV[4],
  expires_at = ARGV[5], max_crashes = tonumber(ARGV[6]), ttl = ARGV[7],
}

-- a.order < b.order
local function before(a, b)
  return a.replay < b.replay or (a.replay == b.replay and a.attempt < b.attempt)
end

-- The toll belongs to one replay: a fresh start owes nothing.
local function carried(toll, from, to)
  return from.replay == to.replay and toll or NO_TOLL
end

-- A fence never repeats, not even after a wipe: at least the ledger's time in µs (C6).
local function next_fence(last, now)
  local number = tonumber(last)
  if number >= MAX_EXACT then
    corrupt('the fence ' .. last .. ' is no time in microseconds')
  end
  return whole(math.max(number + 1, now))
end

local function claimed(fence, order, toll, now)
  return write_held({
    owner = ask.owner, fence = fence, token = ask.token, claimed_at = whole(now),
    replay = order.replay, attempt = order.attempt, toll = toll, cancel = false,
  })
end

local function settle(text)
  put(text, ask.ttl)
  return { 'settled', text }
end

local function resume(last, order, toll, decision, now)
  local text = 'F ' .. claimed(next_fence(last, now), order, toll, now) .. ' ' .. decision
  put(text, ask.ttl)
  return { 'resume', text }
end

-- The decision as serde writes it; a test compares both.
local function poison(crashes, now)
  return string.format(
    '{"outcome":{"dead":{"reason":"poison","failure":{"class":"crash",'
      .. '"message":"%s workers died while they ran this task","at":%s}}}}',
    crashes, whole(math.floor(now / 1000))
  )
end

-- Ends in expired, poison or claimed, in that order.
local function fresh(last, toll, now)
  if ask.expires_at ~= '' and tonumber(ask.expires_at) * 1000 <= now then
    return settle('E ' .. ask.replay)
  end
  if toll.crashes >= ask.max_crashes then
    return resume(last, ask, toll, poison(toll.crashes, now), now)
  end
  toll = {
    starts = math.min(toll.starts + 1, MAX_COUNT), crashes = toll.crashes, charged = toll.charged,
  }
  local text = 'R ' .. claimed(next_fence(last, now), ask, toll, now)
  put(text, ask.ttl)
  return { 'claimed', text }
end

-- The reply to this very request was lost: it gets its claim again (C7), under a new fence, so
-- that whoever judged the old one to be an orphan meanwhile no longer finds what he expects.
local function again(held, now)
  if held.sort == 'F' then
    return resume(held.fence, held, held.toll, held.decision, now)
  end
  held.fence = next_fence(held.fence, now)
  held.claimed_at = whole(now)
  local text = 'R ' .. write_held(held)
  put(text, ask.ttl)
  return { 'claimed', text }
end
