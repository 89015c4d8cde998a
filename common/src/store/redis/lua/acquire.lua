-- Gives the lease to whoever asks while nobody else holds it.
--
-- ARGV[1..2]: holder, ttl in ms. Answers the epoch, or nothing.

local lease = read_lease()
if lease and lease.holder ~= ARGV[1] then
  return false
end
-- Epochs grow with each acquisition, also across a wipe: at least the store's time in µs.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = lease and tonumber(lease.epoch) or 0
local epoch = string.format('%.0f', math.max(last + 1, now))
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. epoch, 'PX', ARGV[2])
return epoch
