-- Notes occurrences of a schedule that is there.
--
-- ARGV[1..2]: name, how many are kept; then the occurrences. Answers noted or gone.

if not is_there(ARGV[1]) then
  return 'gone'
end
append(ARGV[1], ARGV[2], 3)
return 'noted'
