-- Knows the keys of the timetable; the first part of its scripts.
--
-- KEYS[1] is the timetable's state, and what its other keys begin with. Its hash tag puts them into
-- one slot.
--   <base>              hash: incarnation, version, and how many were made at run time
--   <base>:names        sorted set of the names, all of score 0: in byte order
--   <base>:entries      hash by name: '<revision> <sort of source> <made at> <changed at> ', then
--                       the entry as JSON; the revision in front is the one that counts
--   <base>:positions    hash by name: '<seq> <epoch> <through> <queued> <previous>'
--   <base>:changes      sorted set of names by the version that changed or removed them last
--   <base>:removed      hash by name: the last revision of a schedule that is gone
--   <base>:removals     sorted set of the same names by the version that removed them
--   <base>:past:<name>  list of its last occurrences, oldest first
-- Numbers of 64 bits stay text: Lua's hold 53.

local STATE = KEYS[1]
local NAMES, ENTRIES = STATE .. ':names', STATE .. ':entries'
local POSITIONS, CHANGES = STATE .. ':positions', STATE .. ':changes'
local REMOVED, REMOVALS = STATE .. ':removed', STATE .. ':removals'

local function past_key(name)
  return STATE .. ':past:' .. name
end

local function is_there(name)
  return redis.call('HEXISTS', ENTRIES, name) == 1
end

-- a < b, for numbers as text without leading zeros
local function less(a, b)
  return #a < #b or (#a == #b and a < b)
end

-- What cannot be read counts as lost.
local function read_position(name)
  local text = redis.call('HGET', POSITIONS, name)
  local seq, epoch = string.match(text or '', '^(%d+) (%d+) %d+ [%d-]+ [%x-]+$')
  return seq and { text = text, seq = seq, epoch = epoch }
end

-- The front of an entry as text, of what a hand left as nothing.
local function read_front(entry)
  local revision, made_at, changed_at = string.match(entry, '^(%d+) %l+ (%d+) (%d+) {')
  return revision and { revision = revision, made_at = made_at, changed_at = changed_at }
end

-- Counts a change of `name` up and remembers it; `kept` of the newest versions are remembered.
-- Answers the version.
local function turn(name, incarnation, kept)
  redis.call('HSETNX', STATE, 'incarnation', incarnation)
  local version = redis.call('HINCRBY', STATE, 'version', 1)
  redis.call('ZADD', CHANGES, string.format('%.0f', version), name)
  redis.call('ZREMRANGEBYSCORE', CHANGES, '-inf', string.format('%.0f', version - tonumber(kept)))
  return string.format('%.0f', version)
end

-- Remembers that `name` is gone, after `revision`; the newest `kept` are remembered.
local function note_removal(name, revision, version, kept)
  redis.call('HSET', REMOVED, name, revision)
  redis.call('ZADD', REMOVALS, version, name)
  if redis.call('ZCARD', REMOVALS) > tonumber(kept) then
    redis.call('HDEL', REMOVED, redis.call('ZPOPMIN', REMOVALS)[1])
  end
end

local function forget_removal(name)
  redis.call('HDEL', REMOVED, name)
  redis.call('ZREM', REMOVALS, name)
end

-- Counts the schedules that were made at run time, which are written down nowhere else.
local function count_made(before, after)
  local function made(entry)
    return entry and string.match(entry, '^%d+ api ') and 1 or 0
  end
  local more = made(after) - made(before)
  if more ~= 0 then
    redis.call('HINCRBY', STATE, 'made', more)
  end
end

local function create(name, entry, position)
  redis.call('ZADD', NAMES, 0, name)
  redis.call('HSET', ENTRIES, name, entry)
  count_made(nil, entry)
  if position ~= '' then
    redis.call('HSET', POSITIONS, name, position)
  end
end

-- Appends the arguments from `first` on to the past of `name`, and keeps the newest `most`.
local function append(name, most, first)
  local key = past_key(name)
  for at = first, #ARGV do
    redis.call('RPUSH', key, ARGV[at])
  end
  if first <= #ARGV then
    redis.call('LTRIM', key, -tonumber(most), -1)
  end
end
