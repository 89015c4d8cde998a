-- Reads a lease; the first part of the scripts of leases.
--
-- KEYS[1]: the lease, 'holder epoch'. It ends by itself.
-- KEYS[1]:epoch: the greatest epoch that was given. It stays, and shares the lease's slot.
-- Epochs are times in µs, below 2^53, and stay text unless they are counted up.

local MAX_EXACT = 9007199254740991 -- 2^53 - 1

local function read_lease()
  local text = redis.call('GET', KEYS[1])
  if not text then
    return nil
  end
  local holder, epoch = string.match(text, '^(%x+) (%d+)$')
  if not holder or tonumber(epoch) >= MAX_EXACT then
    error({ err = 'LVCORRUPT it is no holder and epoch' })
  end
  return { holder = holder, epoch = epoch }
end

local function is_held(holder, epoch)
  local lease = read_lease()
  return lease and lease.holder == holder and lease.epoch == epoch
end
