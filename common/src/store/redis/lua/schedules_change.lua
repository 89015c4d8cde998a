-- Changes an entry, where it is the expected one.
--
-- ARGV[1..7]: name, the revision that is expected ('' for none), what it becomes ('' to remove it),
-- its first position, most schedules, versions to remember, an incarnation for the first write.
-- Answers {'written', revision}, {'full'}, or {'other', entry, position} with what is there.

local name, expected, entry = ARGV[1], ARGV[2], ARGV[3]
local stored = redis.call('HGET', ENTRIES, name)
local revision = ''

if stored then
  -- What is no entry is of no revision that anybody expects.
  local front = read_front(stored)
  revision = front and front.revision
end
if revision ~= expected or (not stored and entry == '') then
  return { 'other', stored, redis.call('HGET', POSITIONS, name) }
end
if entry == '' then
  redis.call('HDEL', ENTRIES, name)
  redis.call('HDEL', POSITIONS, name)
  redis.call('ZREM', NAMES, name)
  redis.call('DEL', past_key(name))
  count_made(stored, nil)
  note_removal(name, revision, turn(name, ARGV[7], ARGV[6]), ARGV[6])
  return { 'written', revision }
elseif stored then
  redis.call('HSET', ENTRIES, name, entry)
  count_made(stored, entry)
elseif redis.call('HLEN', ENTRIES) >= tonumber(ARGV[5]) then
  return { 'full' }
else
  -- Above what the last of this name had: a change that was meant for that one is told apart.
  local last = tonumber(redis.call('HGET', REMOVED, name) or '0') or 0
  entry = string.gsub(entry, '^%d+', string.format('%.0f', last + 1))
  -- What takes memory comes first: a server without any refuses a script only at its first write.
  create(name, entry, ARGV[4])
  forget_removal(name)
end
turn(name, ARGV[7], ARGV[6])
return { 'written', read_front(entry).revision }
