-- Tells which schedules changed after a version.
--
-- ARGV[1..2]: the version ('' for none), versions that are remembered. Answers {incarnation or
-- nothing, version, whether the names are known, names…}.

local incarnation = redis.call('HGET', STATE, 'incarnation')
local version = redis.call('HGET', STATE, 'version') or '0'
local since = tonumber(ARGV[1])
local behind = since and tonumber(version) - since

if not incarnation or not behind or behind < 0 or behind > tonumber(ARGV[2]) then
  return { incarnation, version, 'unknown' }
end
local answer = { incarnation, version, 'known' }
for _, name in ipairs(redis.call('ZRANGE', CHANGES, '(' .. ARGV[1], '+inf', 'BYSCORE')) do
  answer[#answer + 1] = name
end
return answer
