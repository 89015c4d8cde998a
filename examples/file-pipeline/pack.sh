# Performs file.pack: makes out/NAME.gz of a file.
set -eu
path=$(python3 -c 'import json, sys; print(json.load(sys.stdin))')
name=$(basename -- "$path")
gzip -nc -- "$path" >"out/.$name.$LEVERET_TASK_ID"
mv -- "out/.$name.$LEVERET_TASK_ID" "out/$name.gz"
wc -c <"out/$name.gz" # the result: how large it has become
