-- Gives the lease to whoever asks while nobody else holds it.
--
-- ARGV[1..2]: holder, ttl in ms. Answers the epoch, or nothing.

local lease = read_lease()
if lease and lease.holder ~= ARGV[1] then
  return false
end
-- Epochs grow with each acquisition, also where the server's clock goes back after the lease has
-- ended, and across a wipe: at least the store's time in µs.
local EPOCH = KEYS[1] .. ':epoch'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local kept = redis.call('GET', EPOCH) or '0'
if not string.match(kept, '^%d+$') or tonumber(kept) >= MAX_EXACT then
  error({ err = 'LVCORRUPT what is kept at ' .. EPOCH .. ' is no epoch' })
end
local last = lease and tonumber(lease.epoch) or 0
local epoch = string.format('%.0f', math.max(last + 1, tonumber(kept) + 1, now))
redis.call('SET', EPOCH, epoch)
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. epoch, 'PX', ARGV[2])
return epoch
