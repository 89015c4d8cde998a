-- Reads and writes one ledger entry; the first part of every script of the ledger.
--
-- KEYS[1] is the task's key and the only key touched. The text is that of `ledger/packed.rs`.
-- Lua's numbers are doubles: owners, tokens and fences stay text here, and times (16 digits, below
-- 2^53) are formatted with whole(), because the usual conversion keeps 14 digits. Counters and
-- orders have at most 10.
-- What cannot be read ends the script with LVCORRUPT: never a guess.

local MAX_EXACT = 9007199254740991 -- 2^53 - 1
local MAX_COUNT = 4294967295 -- u32, as in `Toll`
local NO_TOLL = { starts = 0, crashes = 0, charged = '0' }

local function corrupt(why)
  error({ err = 'LVCORRUPT ' .. why })
end

local function whole(number)
  return string.format('%.0f', number)
end

local function now_us()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function read_toll(starts, crashes, charged)
  return { starts = tonumber(starts), crashes = tonumber(crashes), charged = charged }
end

local HELD = '^[RF] (%x+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) ([01])(.*)$'

local function read_held(text, sort)
  local owner, fence, token, claimed_at, replay, attempt, starts, crashes, charged, cancel, rest =
    string.match(text, HELD)
  if not owner or #owner ~= 32 then
    corrupt('a field of the claim is missing or wrong')
  end
  local decision
  if sort == 'F' then
    decision = string.match(rest, '^ (.+)$')
    if not decision then
      corrupt('the decision is missing')
    end
  elseif rest ~= '' then
    corrupt('it has fields too many')
  end
  return {
    sort = sort, owner = owner, fence = fence, token = token,
    claimed_at = claimed_at, replay = tonumber(replay), attempt = tonumber(attempt),
    toll = read_toll(starts, crashes, charged), cancel = cancel == '1', decision = decision,
  }
end

local function read_waiting(text)
  local replay, attempt, fence, starts, crashes, charged =
    string.match(text, '^W (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not replay then
    corrupt('a field of the awaited order is missing or wrong')
  end
  return {
    sort = 'W', replay = tonumber(replay), attempt = tonumber(attempt), fence = fence,
    toll = read_toll(starts, crashes, charged),
  }
end

local function read_settled(text)
  local replay = string.match(text, '^[DCE] (%d+)$') or string.match(text, '^X (%d+) [%l-]+$')
  if not replay then
    corrupt('it is none of the sorts R F W D X C E')
  end
  return { sort = 'settled', text = text, replay = tonumber(replay) }
end

local function read_entry()
  local text = redis.call('GET', KEYS[1])
  if not text then
    return nil
  end
  local sort = string.sub(text, 1, 1)
  if sort == 'R' or sort == 'F' then
    return read_held(text, sort)
  elseif sort == 'W' then
    return read_waiting(text)
  end
  return read_settled(text)
end

local function write_toll(toll)
  return toll.starts .. ' ' .. toll.crashes .. ' ' .. toll.charged
end

local function write_held(held)
  return held.owner .. ' ' .. held.fence .. ' ' .. held.token .. ' ' .. held.claimed_at
    .. ' ' .. held.replay .. ' ' .. held.attempt
    .. ' ' .. write_toll(held.toll) .. ' ' .. (held.cancel and '1' or '0')
end

local function write_waiting(waiting)
  return 'W ' .. waiting.replay .. ' ' .. waiting.attempt
    .. ' ' .. waiting.fence .. ' ' .. write_toll(waiting.toll)
end

-- Change::Put
local function put(text, ttl)
  redis.call('SET', KEYS[1], text, 'PX', ttl)
end

-- Change::Amend
local function amend(text)
  redis.call('SET', KEYS[1], text, 'KEEPTTL')
end

-- Change::Prolong
local function prolong(text, ttl)
  amend(text)
  redis.call('PEXPIRE', KEYS[1], ttl, 'GT')
end
