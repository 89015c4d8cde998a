-- `rules::decide` (C5, P3).
--
-- ARGV[4..7]: replay, attempt, '1' for done, the decision as JSON.

local entry = read_entry()

if not entry then
  put('F ' .. write_held({
    owner = owner, fence = fence, token = '0', claimed_at = whole(now_us()),
    replay = tonumber(ARGV[4]), attempt = tonumber(ARGV[5]), toll = NO_TOLL, cancel = false,
  }) .. ' ' .. ARGV[7], ttl)
  return 'accepted'
end
if entry.sort == 'R' and is_ours(entry) then
  if entry.cancel and ARGV[6] ~= '1' then
    return cancelled(entry)
  end
  put('F ' .. write_held(entry) .. ' ' .. ARGV[7], ttl)
  return 'accepted'
end
if entry.sort == 'F' and is_ours(entry) then
  -- The reply to this decision was lost: what was decided first stands.
  return 'accepted'
end
return refuse(entry)
