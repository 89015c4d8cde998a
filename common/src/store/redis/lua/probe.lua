-- Does what the other scripts do, on a key that nobody reads: shows whether scripts may run here.
--
-- KEYS[1]: the trace of a check; ARGV[1]: ttl in ms. Answers the server's time in µs.

local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
redis.call('SET', KEYS[1], now, 'PX', ARGV[1])
redis.call('SET', KEYS[1], cjson.encode({ now }), 'KEEPTTL')
if cjson.decode(redis.call('GET', KEYS[1]))[1] ~= now then
  error({ err = 'LVCORRUPT it is not what was written' })
end
return now
