"""What needs no gateway."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import unittest
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx

from leveret import Client, NewTask, Task, errors, webhook
from leveret._batch import Batch
from leveret._decode import Undecodable, decode
from leveret._repeat import Tries, retry_after
from leveret._settings import VERSION, Settings
from leveret._uuid7 import uuid7
from leveret._values import duration, instant, part, seconds

HERE = Path(__file__).resolve().parent
PROBLEM = {"type": "/problems/unavailable", "title": "away", "status": 503, "detail": "away"}
ACCEPTED = {"id": "7", "state": "queued", "queue": "mail", "class": "normal"}


class Values(unittest.TestCase):
    def test_durations_are_written_with_a_unit_and_read_as_seconds(self) -> None:
        spans = {"90s": timedelta(minutes=1.5), "1500ms": timedelta(seconds=1.5), "0s": timedelta()}
        for text, span in spans.items():
            self.assertEqual(duration(span), text)
        self.assertEqual(duration("1h30m"), "1h30m")
        self.assertEqual(seconds("1h30m5s250ms"), 5405.25)
        for wrong in ("", "5", "1.5s", "s"):
            self.assertRaises(ValueError, seconds, wrong)
        self.assertRaises(ValueError, duration, timedelta(seconds=-1))
        self.assertRaises(TypeError, duration, 5)

    def test_an_instant_needs_a_zone(self) -> None:
        at = datetime(2027, 1, 31, 8, tzinfo=timezone(timedelta(hours=1)))
        self.assertEqual(instant(at), "2027-01-31T08:00:00.000+01:00")
        self.assertRaises(ValueError, instant, datetime(2027, 1, 31))

    def test_a_name_is_one_part_of_a_path(self) -> None:
        self.assertEqual(part("order 7/ä"), "order%207%2F%C3%A4")
        for wrong in ("", ".", ".."):
            self.assertRaises(ValueError, part, wrong)

    def test_ids_are_uuids_of_version_7_and_differ(self) -> None:
        ids = [uuid7() for _ in range(1_000)]
        self.assertEqual(len(set(ids)), 1_000)
        self.assertEqual(
            {(uuid.UUID(id).version, uuid.UUID(id).variant) for id in ids}, {(7, uuid.RFC_4122)}
        )

    def test_a_new_task_is_the_same_task_however_often_it_is_sent(self) -> None:
        task = NewTask("email.welcome", class_="high", at="2027-01-31T08:00:00Z")
        self.assertEqual(task.document(), task.document())
        self.assertEqual(set(task.document()), {"kind", "class", "at", "id"})
        self.assertNotIn("id", NewTask("email.welcome", key="welcome-7").document())

    def test_the_version_is_that_of_the_package(self) -> None:
        self.assertIn(f'version = "{VERSION}"', (HERE.parent / "pyproject.toml").read_text())

    def test_who_asks_is_visible_text(self) -> None:
        for wrong in ("änn", "ann\nbox"):
            self.assertRaises(ValueError, Settings.read, None, None, wrong, "30s", 4)

    def test_the_address_of_a_gateway_is_checked(self) -> None:
        people = ("http://ann@box", "http://:pw@box")
        for wrong in ("box:7878", "ftp://box", *people, "http://box?x=1"):
            self.assertRaises(ValueError, Settings.read, wrong, None, None, "30s", 4)


class Answers(unittest.TestCase):
    def test_states_and_members_that_are_new_are_taken(self) -> None:
        document = {
            "id": "7",
            "state": "dreaming",
            "attempt": 1,
            "history": [],
            "mood": "calm",
            "error": {"class": "x", "message": "y", "at": "2026-11-21T14:58:40.371Z"},
        }
        task = decode(Task, document)
        self.assertEqual((task.state, task.raw["mood"], task.is_over), ("dreaming", "calm", False))
        assert task.error is not None
        self.assertEqual(task.error.at, datetime(2026, 11, 21, 14, 58, 40, 371_000, timezone.utc))

    def test_what_is_missing_is_named(self) -> None:
        self.assertRaisesRegex(Undecodable, "has no state", decode, Task, {"id": "7"})
        self.assertRaisesRegex(Undecodable, "is no object", decode, Task, [])


class Repeats(unittest.TestCase):
    def client(self, answer: Callable[[httpx.Request], httpx.Response], retries: int = 2) -> Client:
        self.asked: list[httpx.Request] = []

        def note(request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            return answer(request)

        http = httpx.Client(transport=httpx.MockTransport(note))
        return Client("http://gateway", retries=retries, http=http)

    def test_an_enqueue_is_repeated_under_one_id(self) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            if len(self.asked) < 3:
                raise httpx.ReadTimeout("late", request=request)
            return httpx.Response(202, json=ACCEPTED)

        self.client(answer).enqueue("email.welcome")
        self.assertEqual(len({json.loads(request.content)["id"] for request in self.asked}), 1)
        self.assertEqual(len(self.asked), 3)

    def test_an_enqueue_that_is_given_up_names_its_id(self) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

        with self.assertRaises(errors.NoAnswerError) as caught:
            self.client(answer).enqueue("email.welcome")
        self.assertEqual(caught.exception.id, json.loads(self.asked[0].content)["id"])
        self.assertIn("LEVERET_GATEWAY_URL", str(caught.exception))
        self.assertEqual(len(self.asked), 3)

    def test_what_could_be_done_twice_is_not_repeated(self) -> None:
        client = self.client(lambda _: httpx.Response(503, json=PROBLEM))
        acts: list[Callable[[], Any]] = [
            lambda: client.cancel("7"),
            lambda: client.queues.pause("mail"),
            lambda: client.dead.replay("7"),
            lambda: client.dead.discard_matching("queue:mail"),
            lambda: client.schedules.delete("nightly"),
            lambda: client.workers.stop("all"),
        ]
        for act in acts:
            self.asked.clear()
            self.assertRaises(errors.UnavailableError, act)
            self.assertEqual(len(self.asked), 1)

    def test_a_run_is_repeated_under_one_key(self) -> None:
        client = self.client(lambda _: httpx.Response(503, json=PROBLEM), retries=1)
        self.assertRaises(errors.UnavailableError, client.schedules.run, "nightly")
        self.assertEqual(len({request.headers["idempotency-key"] for request in self.asked}), 1)
        self.assertEqual(len(self.asked), 2)

    def test_pauses_grow_have_jitter_and_honour_retry_after(self) -> None:
        lost = errors.NoAnswerError("lost")
        tries = Tries(3, jitter=lambda: 1.0)
        self.assertEqual([tries.pause_after(lost) for _ in range(4)], [0.2, 0.4, 0.8, None])
        self.assertEqual(Tries(1, jitter=lambda: 0.0).pause_after(lost), 0.1)
        asked = errors.of_problem(PROBLEM, retry_after=2.0)
        self.assertEqual(Tries(1, jitter=lambda: 1.0).pause_after(asked), 2.2)
        self.assertIsNone(Tries(1).pause_after(errors.of_problem(PROBLEM, retry_after=61.0)))
        self.assertIsNone(Tries(1).pause_after(errors.of_problem({**PROBLEM, "status": 400})))

    def test_retry_after_is_seconds_or_a_date(self) -> None:
        now = lambda: datetime(2026, 11, 21, 14, 58, 30, tzinfo=timezone.utc)  # noqa: E731
        self.assertEqual(retry_after(" 2 "), 2.0)
        self.assertEqual(retry_after("Sat, 21 Nov 2026 14:58:40 GMT", now), 10.0)
        self.assertEqual(retry_after("Sat, 21 Nov 2026 14:58:00 GMT", now), 0.0)
        self.assertIsNone(retry_after("soon"))
        self.assertIsNone(retry_after(None))

    def test_an_answer_of_another_server_is_told_apart(self) -> None:
        client = self.client(lambda _: httpx.Response(200, text="<html>Welcome"))
        self.assertRaisesRegex(errors.UnexpectedAnswerError, "Welcome", client.get, "7")
        self.assertEqual(len(self.asked), 1)
        client = self.client(lambda _: httpx.Response(502, text="<html>Bad gateway"))
        self.assertRaisesRegex(errors.UnexpectedAnswerError, "502", client.get, "7")
        self.assertEqual(len(self.asked), 3)

    def test_an_object_that_is_no_task_is_no_success(self) -> None:
        for wrong in ({}, {"ok": True}, {"id": 7, "state": "queued"}):
            answer = httpx.Response(200, json=wrong)
            client = self.client(lambda _, answer=answer: answer)  # type: ignore[misc]
            acts: list[Callable[[], Any]] = [
                lambda: client.enqueue("email.welcome"),
                lambda: client.get("7"),
                lambda: client.wait("7", timeout="1s"),
            ]
            for act in acts:
                self.assertRaises(errors.UnexpectedAnswerError, act)

    def test_a_request_that_was_not_sent_says_so(self) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            raise httpx.PoolTimeout("", request=request)

        with self.assertRaisesRegex(errors.NoAnswerError, "it was not sent") as caught:
            self.client(answer, retries=0).enqueue("email.welcome")
        self.assertNotIn("may be accepted", str(caught.exception))

    def test_a_walk_that_ends_with_a_foreign_error_is_an_unexpected_answer(self) -> None:
        ended = b'{"error":{"oops":1}}\n'
        client = self.client(lambda _: httpx.Response(200, content=ended))
        walk = client.dead.replay_matching
        self.assertRaises(errors.UnexpectedAnswerError, walk, "queue:mail")

    def test_a_walk_whose_answer_breaks_off_is_no_success(self) -> None:
        walked = b'{"queue":"mail","walked":{"total":5,"taken":1}}\n'
        client = self.client(lambda _: httpx.Response(200, content=walked))
        self.assertRaises(errors.NoAnswerError, client.dead.replay_matching, "queue:mail")
        ended = walked + json.dumps({"error": PROBLEM, "totals": {"taken": 3}}).encode() + b"\n"
        client = self.client(lambda _: httpx.Response(200, content=ended))
        with self.assertRaises(errors.UnavailableError) as caught:
            client.dead.replay_matching("queue:mail")
        assert caught.exception.totals is not None
        self.assertEqual(caught.exception.totals.taken, 3)


class Batches(unittest.TestCase):
    def batch(self, count: int) -> Batch:
        batch = Batch(0)
        for number in range(count):
            batch.add(NewTask("email.welcome", id=str(number)))
        return batch

    def sent(self, batch: Batch) -> list[str]:
        lines = batch.call().lines
        assert lines is not None
        return [json.loads(line)["id"] for line in lines.splitlines()]

    def test_what_passes_is_sent_again_and_told_in_the_end(self) -> None:
        batch = self.batch(3)
        batch.take([ACCEPTED, {"line": 2, "error": PROBLEM}, ACCEPTED], False)
        self.assertEqual(self.sent(batch), ["1"])
        batch.take([{"line": 1, "error": PROBLEM}], True)
        found = batch.results()
        self.assertTrue(batch.is_done)
        self.assertEqual([result.index for result in found], [0, 1, 2])
        self.assertRaises(errors.UnavailableError, lambda: found[1].task)

    def test_lines_beyond_what_the_gateway_takes_at_once_go_into_the_next_request(self) -> None:
        large = {**PROBLEM, "type": "/problems/too-large", "status": 413}
        batch = self.batch(4)
        batch.take([ACCEPTED, ACCEPTED, {"line": 3, "error": large}], False)
        self.assertEqual((self.sent(batch), batch.passing), (["2", "3"], None))
        # One that is too large by itself is not sent for ever.
        batch.take([{"line": 1, "error": large}, ACCEPTED], False)
        self.assertIsInstance(batch.results()[2].error, errors.TooLargeError)
        self.assertTrue(batch.is_done)

    def test_a_line_whose_body_was_too_slow_is_sent_again(self) -> None:
        slow = {**PROBLEM, "type": "/problems/slow-body", "status": 408}
        batch = self.batch(3)
        batch.take([ACCEPTED, {"line": 2, "error": slow}], False)
        self.assertEqual(self.sent(batch), ["1", "2"])
        self.assertIsInstance(batch.passing, errors.ProblemError)

    def test_lines_of_an_answer_that_broke_off_are_sent_again(self) -> None:
        batch = self.batch(3)
        batch.take([ACCEPTED], False)
        self.assertEqual(self.sent(batch), ["1", "2"])
        batch.take([], False)
        self.assertIsInstance(batch.passing, errors.NoAnswerError)


class Webhooks(unittest.TestCase):
    BODY = b'{"order":7}'
    SECRET = "sixteen-letters-"
    NOW = datetime.fromtimestamp(1_798_794_000, timezone.utc)
    DIGITS = "ed37ebe23f6ba89da2d1d5eb4d0368b047c77bfaacf2eefc8d56d8dc6081a037"
    HEADER = f"t=1798794000,v1={DIGITS}"

    def test_a_signature_of_either_secret_is_accepted(self) -> None:
        other = hmac.new(b"another-sixteen!", b"1798794000." + self.BODY, hashlib.sha256)
        both = f"t=1798794000,v1={other.hexdigest()},v1={self.DIGITS}"
        webhook.verify(self.BODY, self.HEADER, self.SECRET, now=self.NOW)
        webhook.verify(self.BODY, self.HEADER, ["new-secret", self.SECRET], now=self.NOW)
        webhook.verify(self.BODY, both, self.SECRET.encode(), now=self.NOW)

    def test_what_is_not_signed_so_is_refused(self) -> None:
        wrong = [
            (self.BODY + b" ", self.HEADER),
            (self.BODY, self.HEADER.replace("ed37", "ed38")),
            (self.BODY, self.HEADER.replace("1798794000", "1798794001")),
            (self.BODY, f"v1={self.DIGITS}"),
            (self.BODY, f"t=²,v1={self.DIGITS}"),
            (self.BODY, "t=1798794000,v1=é"),
            (self.BODY, "t=1798794000,v1=\udcff"),
            (self.BODY, ""),
            (self.BODY, None),
        ]
        for body, header in wrong:
            with self.assertRaises(webhook.SignatureError, msg=header):
                webhook.verify(body, header, self.SECRET, now=self.NOW)
        for late in (timedelta(minutes=6), timedelta(minutes=-6)):
            with self.assertRaisesRegex(webhook.SignatureError, "in time"):
                webhook.verify(self.BODY, self.HEADER, self.SECRET, now=self.NOW + late)
        with self.assertRaises(ValueError):
            webhook.verify(self.BODY, self.HEADER, "")


class Generated(unittest.TestCase):
    def test_the_synchronous_client_is_made_of_the_asynchronous_one(self) -> None:
        script = HERE.parent / "scripts" / "unasync.py"
        done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)
