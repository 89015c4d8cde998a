-- Writes what somebody remembers of a schedule: where it is absent, all of it; else a later state of
-- the same entry, and a position that is later than the one that is there.
--
-- ARGV[1..6]: name, the entry, its position ('' for none), most schedules, versions to remember, an
-- incarnation for the first write. Answers restored, removed, there or full.

local name, position = ARGV[1], ARGV[3]
local there = redis.call('HGET', ENTRIES, name)

if there then
  -- What was changed since the wipe is changed later than anything that is remembered.
  local stored, remembered = read_front(there), read_front(ARGV[2])
  if stored and remembered and stored.made_at == remembered.made_at
    and less(stored.revision, remembered.revision)
    and not less(remembered.changed_at, stored.changed_at) then
    redis.call('HSET', ENTRIES, name, ARGV[2])
    count_made(there, ARGV[2])
    turn(name, ARGV[6], ARGV[5])
  end
  local seq, epoch = string.match(position, '^(%d+) (%d+) ')
  local reached = read_position(name)
  if seq and (not reached or (less(reached.seq, seq) and not less(epoch, reached.epoch))) then
    redis.call('HSET', POSITIONS, name, position)
  end
  return 'there'
end
-- What is known as removed was so since the wipe, and stays it.
if redis.call('HEXISTS', REMOVED, name) == 1 then
  return 'removed'
end
if redis.call('HLEN', ENTRIES) >= tonumber(ARGV[4]) then
  return 'full'
end
create(name, ARGV[2], position)
turn(name, ARGV[6], ARGV[5])
return 'restored'
