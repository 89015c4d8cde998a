-- Reads the description of a dead letter and knows its places; the first part of the scripts of
-- letters.
--
-- KEYS[1] names no key: it is what the keys of all letters begin with. Its hash tag puts them into
-- one slot, and the keys below are made of it, because which queue an older description belongs to
-- is only known once it is read.
--   <base>:<task id>      the description
--   <base>:queue:<queue>  sorted set of places, all of score 0: newest last
--   <base>:queues         set of the queues that had some
--   <base>:ends           sorted set of '<queue> <place>' by the end of the description in ms
-- A place is '<died at, 20 digits>:<task id>', so that text order is that of death, then of id.

local MAX_EXACT = 9007199254740991 -- 2^53 - 1
local BASE = KEYS[1]
local QUEUES, ENDS = BASE .. ':queues', BASE .. ':ends'

local function letter_key(id)
  return BASE .. ':' .. id
end

local function list_key(queue)
  return BASE .. ':queue:' .. queue
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function place_of(died_at, id)
  local text = string.format('%.0f', math.min(died_at, MAX_EXACT))
  return string.rep('0', 20 - #text) .. text .. ':' .. id
end

local function read_letter(id)
  local text = redis.call('GET', letter_key(id))
  if not text then
    return nil
  end
  local is_json, letter = pcall(cjson.decode, text)
  local order = is_json and type(letter) == 'table' and letter.order
  if type(order) ~= 'table' or type(order.replay) ~= 'number'
    or type(order.attempt) ~= 'number' or type(letter.queue) ~= 'string'
    or type(letter.died_at) ~= 'number' then
    error({ err = 'LVCORRUPT it describes no dead letter' })
  end
  return {
    replay = order.replay, attempt = order.attempt, queue = letter.queue,
    place = place_of(letter.died_at, id),
  }
end

-- a's order < b's order
local function before(a, b)
  return a.replay < b.replay or (a.replay == b.replay and a.attempt < b.attempt)
end

local function unlist(queue, place)
  redis.call('ZREM', list_key(queue), place)
  redis.call('ZREM', ENDS, queue .. ' ' .. place)
end
