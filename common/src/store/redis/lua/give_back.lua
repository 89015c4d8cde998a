-- Ends the lease where it is still held under this epoch.
--
-- ARGV[1..2]: holder, epoch. Answers 1 or 0.

if not is_held(ARGV[1], ARGV[2]) then
  return 0
end
return redis.call('DEL', KEYS[1])
