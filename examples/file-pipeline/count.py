"""Performs file.count: args are a path in quotes, such as "in/hamlet.txt"."""

import json
import os
import pathlib
import sys

path = pathlib.Path(json.load(sys.stdin))
try:
    text = path.read_text()
except (FileNotFoundError, UnicodeDecodeError) as error:
    print(error, file=sys.stderr)  # kept with the attempt
    sys.exit(65)  # no other attempt would find it, or read it: a dead letter at once

counted = {"file": path.name, "lines": text.count("\n"), "words": len(text.split())}

# Written under another name and moved: who looks sees all of it or nothing, and to write it again
# is the same. The task's id in the name keeps two tasks about one file apart.
out = pathlib.Path("out")
out.mkdir(exist_ok=True)
draft = out / f".{path.name}.{os.environ['LEVERET_TASK_ID']}"
draft.write_text(json.dumps(counted))
draft.replace(out / f"{path.name}.json")

# Put in exactly when this attempt succeeds. An attempt that is made again asks for the same tasks
# again, and they run once.
with open(os.environ["LEVERET_FOLLOW_UPS"], "w") as follow_ups:
    print(json.dumps({"kind": "file.pack", "args": str(path)}), file=follow_ups)
    print(json.dumps({"kind": "folder.summary"}), file=follow_ups)

print(json.dumps(counted))  # the result
