"""Enqueues over HTTP with Python's standard library, and waits for the end."""

import http.client
import json
import time
import urllib.error
import urllib.request

GATEWAY = "http://127.0.0.1:7878"


def enqueue(kind, args, key, tries=5):
    """With a key it may be repeated: the same key is the same task."""
    body = json.dumps({"kind": kind, "args": args}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(f"{GATEWAY}/v1/tasks", body, headers)
    for again in range(tries):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)["id"]
        except urllib.error.HTTPError as error:
            # 503 and 504 pass; everything else says what is wrong with the request.
            if error.code not in (503, 504) or again + 1 == tries:
                raise SystemExit(f"{error.code}: {error.read().decode()}") from None
            pause = float(error.headers.get("Retry-After", 1))
        except (OSError, http.client.HTTPException) as error:
            # No answer, or half of one: the task may be there, and with its key it stays one.
            if again + 1 == tries:
                raise SystemExit(f"no answer from {GATEWAY}: {error}") from None
            pause = 1
        time.sleep(pause)


def wait(task):
    with urllib.request.urlopen(f"{GATEWAY}/v1/tasks/{task}?wait=30s", timeout=60) as answer:
        return json.load(answer)


task = wait(enqueue("email.welcome", {"user_id": 2}, key="welcome-2"))
print(task["state"], task["result"])
