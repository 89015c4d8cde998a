"""Receives what Leveret pushes for the kind order.paid; nothing but the standard library.

Each order is booked once: what was answered is kept with the booking, in one transaction, and is the
answer to whoever sends the same order again. It goes by the order's number, which is signed: the
signature does not cover the Idempotency-Key, so a request that was overheard could come with another.
"""

import hashlib
import hmac
import json
import os
import sqlite3
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["HOOK_SECRET"].encode()
TOLERANCE = 300  # seconds that a signature may be old
LIMIT = 1 << 20  # bytes of a body


def is_genuine(header, body):
    """X-Leveret-Signature: t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>">"""
    pairs = [part.partition("=")[::2] for part in header.split(",")]
    sent = next((value for name, value in pairs if name == "t"), "")
    if not sent.isdecimal() or len(sent) > 15 or abs(time.time() - int(sent)) > TOLERANCE:
        return False
    expected = hmac.new(SECRET, sent.encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(name == "v1" and hmac.compare_digest(value.encode(), expected.encode()) for name, value in pairs)


def book(task, body):
    """Returns status, headers and answer."""
    try:
        order = json.loads(body)
        number, cents = int(order["order"]), int(order["cents"])
    except (ValueError, TypeError, KeyError) as error:
        # 4xx: to send the same again would not help. A dead letter.
        return 422, {}, {"error": f"this is no order: {error!r}"}

    with sqlite3.connect("receiver.db", isolation_level=None) as books:
        books.execute("BEGIN IMMEDIATE")  # of two at once, the second waits here
        known = books.execute("SELECT answer FROM bookings WHERE number = ?", [number]).fetchone()
        if known:
            return 200, {}, json.loads(known[0])
        looked_at = books.execute("SELECT 1 FROM looks WHERE number = ?", [number]).fetchone()
        if cents > 100_000 and not looked_at:
            # 429 or 503 with Retry-After: Leveret asks again then, and no earlier.
            books.execute("INSERT INTO looks VALUES (?)", [number])
            return 429, {"Retry-After": "1"}, {"error": "somebody has to look at this first"}
        answer = {"order": number, "booked": cents}
        books.execute("INSERT INTO bookings VALUES (?, ?, ?)", [number, task, json.dumps(answer)])
        return 200, {}, answer  # 2xx: done, and this is the result


class Receiver(BaseHTTPRequestHandler):
    def answer(self):
        try:
            length = int(self.headers["content-length"])
        except (TypeError, ValueError):
            length = -1
        # Before anything is read: whoever sends this may be anybody.
        if not 0 <= length <= LIMIT:
            return 400 if length < 0 else 413, {}, {"error": f"a body has a length of at most {LIMIT} bytes"}
        body = self.rfile.read(length)
        if not is_genuine(self.headers.get("x-leveret-signature", ""), body):
            return 401, {}, {"error": "not signed by our Leveret"}
        task = self.headers["idempotency-key"]
        if not task:
            return 400, {}, {"error": "there is no Idempotency-Key: this is not from Leveret"}
        return book(task, body)

    def do_POST(self):
        status, headers, answer = self.answer()
        answer = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)


with sqlite3.connect("receiver.db") as books:
    books.execute("CREATE TABLE IF NOT EXISTS bookings (number INTEGER PRIMARY KEY, task TEXT, answer TEXT)")
    books.execute("CREATE TABLE IF NOT EXISTS looks (number INTEGER PRIMARY KEY)")
ThreadingHTTPServer(("127.0.0.1", 9000), Receiver).serve_forever()
