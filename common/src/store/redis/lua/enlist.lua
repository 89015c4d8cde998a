-- Notes a worker in the list of heartbeats and drops those that ended, by the server's own time.
--
-- KEYS[1]: the list; ARGV: owner, ttl in ms. Only a directory: who lives is said by the heartbeat
-- keys themselves. The list ends by itself after the last worker.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2], 'NX')
redis.call('PEXPIRE', KEYS[1], ARGV[2], 'GT')
return 1
