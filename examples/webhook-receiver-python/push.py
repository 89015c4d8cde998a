"""Pushes as Leveret does, for trying a receiver out: push.py TASK BODY [SECONDS-AGO]"""

import hashlib
import hmac
import os
import sys
import time
import urllib.error
import urllib.request

task, body = sys.argv[1], sys.argv[2].encode()
sent = str(int(time.time()) - int(sys.argv[3] if len(sys.argv) > 3 else 0))
signed = hmac.new(os.environ["HOOK_SECRET"].encode(), sent.encode() + b"." + body, hashlib.sha256)
headers = {
    "Content-Type": "application/json",
    "Idempotency-Key": task,
    "X-Leveret-Signature": f"t={sent},v1={signed.hexdigest()}",
}
request = urllib.request.Request("http://127.0.0.1:9000/hooks/paid", body, headers)
try:
    answer = urllib.request.urlopen(request, timeout=10)
except urllib.error.HTTPError as refused:
    answer = refused
print(answer.status, answer.read().decode())
