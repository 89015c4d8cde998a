-- Keeps what an attempt says, unless something later was said of the task.
--
-- ARGV[1..4]: fence, turn, the record (JSON), ttl in ms. Answers 1 or 0.
-- Fences are times in µs, which doubles hold exactly.

local kept = redis.call('GET', KEYS[1])
if kept then
  local is_json, record = pcall(cjson.decode, kept)
  -- What cannot be read holds nobody up.
  if is_json and type(record) == 'table' then
    local fence, turn = tonumber(record.fence) or 0, tonumber(record.turn) or 0
    local asked_fence, asked_turn = tonumber(ARGV[1]), tonumber(ARGV[2])
    if fence > asked_fence or (fence == asked_fence and turn > asked_turn) then
      return 0
    end
  end
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1
