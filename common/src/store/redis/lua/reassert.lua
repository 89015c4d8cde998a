-- `rules::reassert` (L5).
--
-- ARGV[1..9]: owner, fence, ttl in ms, token, replay, attempt, starts, crashes, charged.

if read_entry() then
  return 'kept'
end
put('R ' .. write_held({
  owner = ARGV[1], fence = ARGV[2], token = ARGV[4], claimed_at = whole(now_us()),
  replay = tonumber(ARGV[5]), attempt = tonumber(ARGV[6]),
  toll = read_toll(ARGV[7], ARGV[8], ARGV[9]), cancel = false,
}), ARGV[3])
return 'written'
