"""Performs any task of the app, as Celery's worker would: the function of that name, with these args."""

import json
import os
import sys

from shop import app

task = app.tasks[os.environ["LEVERET_KIND"]]
sent = json.load(sys.stdin)
if isinstance(sent, list):
    args, kwargs = sent, {}
elif sent.keys() == {"args", "kwargs"}:
    args, kwargs = sent["args"], sent["kwargs"]
else:
    args, kwargs = [], sent
print(json.dumps(task.run(*args, **kwargs)))
