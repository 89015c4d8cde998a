"""Against a gateway that runs: `LEVERET_GATEWAY_URL` says where, and without it these are skipped.

It is a fresh one whose workers know three kinds: `test.words` counts words, `test.fails` is dead
at once, `test.sleeps` goes on for a minute.
"""

from __future__ import annotations

import os
import unittest
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone

from lossy import Lossy

from leveret import AsyncClient, Client, NewTask, errors
from leveret.timetable import ScheduleDefinition

URL = os.environ.get("LEVERET_GATEWAY_URL", "")
NIGHTLY: ScheduleDefinition = {
    "when": "30 2 * * *",
    "zone": "Europe/Berlin",
    "kind": "test.words",
    "args": "one two",
}


@unittest.skipUnless(URL, "LEVERET_GATEWAY_URL names no gateway")
class Live(unittest.TestCase):
    def setUp(self) -> None:
        self.client = Client(by="ann@box")
        self.addCleanup(self.client.close)

    def test_a_task_is_put_in_and_its_result_comes_back(self) -> None:
        began = datetime.now(timezone.utc) - timedelta(seconds=1)
        accepted = self.client.enqueue(
            "test.words", "one two three", class_="high", tags={"tenant": "42"}, timeout="10s"
        )
        self.assertEqual((accepted.state, accepted.class_), ("queued", "high"))
        self.assertEqual(self.client.result(accepted.id), 3)
        task = self.client.get(accepted.id)
        self.assertTrue(task.is_over)
        self.assertEqual((task.kind, task.tags), ("test.words", {"tenant": "42"}))
        assert task.enqueued_at is not None
        self.assertGreater(task.enqueued_at, began)
        self.assertEqual([attempt.outcome for attempt in task.history], ["done"])
        again = self.client.enqueue("test.words", "one two three", id=accepted.id)
        self.assertTrue(again.repeated)

    def test_a_delayed_task_says_when_and_can_be_cancelled(self) -> None:
        at = datetime.now(timezone.utc) + timedelta(hours=1)
        accepted = self.client.enqueue("test.words", "one", at=at, id="order 7/ä")
        self.assertEqual(accepted.state, "delayed")
        assert accepted.next_at is not None
        self.assertLess(abs(accepted.next_at - at), timedelta(seconds=1))
        told = self.client.explain("order 7/ä")
        self.assertEqual((told.state, told.custody.place), ("delayed", "delay"))
        self.assertEqual(self.client.cancel("order 7/ä").state, "cancelled")
        with self.assertRaises(errors.TaskCancelledError) as caught:
            self.client.result("order 7/ä")
        self.assertEqual(caught.exception.task.acts[0].by, "ann@box")

    def test_one_that_runs_is_waited_for_and_cancelled(self) -> None:
        accepted = self.client.enqueue("test.sleeps")
        with self.assertRaises(errors.WaitTimeoutError) as caught:
            self.client.wait(accepted.id, timeout="100ms")
        self.assertEqual(caught.exception.task.id, accepted.id)
        self.assertEqual(self.client.cancel(accepted.id, wait="20s").state, "cancelled")

    def test_refusals_say_everything_that_is_wrong(self) -> None:
        with self.assertRaises(errors.InvalidError) as invalid:
            self.client.enqueue("test.words", class_="urgent", delay="5")
        fields = {flaw.field for flaw in invalid.exception.problem.errors}
        self.assertEqual(fields, {"class", "delay"})
        self.client.enqueue("test.words", "one", key="order-7")
        with self.assertRaises(errors.ConflictError) as conflict:
            self.client.enqueue("test.words", "two", key="order-7")
        self.assertEqual(conflict.exception.problem.name, "key-conflict")
        self.assertRaises(errors.NotFoundError, self.client.get, "nobody-knows")
        with Client(token="another") as stranger:
            self.assertRaises(errors.AccessError, stranger.queues.list)

    def test_many_are_put_in_and_each_is_answered(self) -> None:
        tasks = [NewTask("test.words", "word " * count) for count in range(5)]
        found = list(self.client.enqueue_many([*tasks, NewTask("No kind")], at_once=4))
        self.assertEqual([result.index for result in found], list(range(6)))
        results = [self.client.result(result.task.id) for result in found[:5]]
        self.assertEqual(results, [0, 1, 2, 3, 4])
        self.assertIsInstance(found[5].error, errors.InvalidError)
        again = list(self.client.enqueue_many(tasks))
        self.assertEqual([result.task.repeated for result in again], [True] * 5)

    def test_a_lost_answer_makes_no_second_task(self) -> None:
        with Lossy(URL) as proxy, Client(proxy.url) as client:
            accepted = client.enqueue("test.words", "one two")
            self.assertEqual((proxy.lost, accepted.repeated), (1, True))
        self.assertEqual(self.client.result(accepted.id), 2)
        self.assertEqual(len(self.client.get(accepted.id).history), 1)
        with Lossy(URL, b'"line":3') as proxy, Client(proxy.url) as client:
            found = list(client.enqueue_many(NewTask("test.words", "one") for _ in range(3)))
            self.assertEqual(
                (proxy.lost, [result.task.repeated for result in found]), (1, [True] * 3)
            )
        with Lossy(URL) as proxy, Client(proxy.url) as client:
            self.assertRaises(errors.NoAnswerError, client.queues.resume, "default")
            self.assertEqual(client.get(accepted.id).state, "done")

    def test_dead_letters_are_listed_replayed_and_discarded(self) -> None:
        ids = [self.client.enqueue("test.fails", number).id for number in range(4)]
        for id in ids:
            with self.assertRaises(errors.TaskDeadError) as caught:
                self.client.result(id)
            self.assertEqual(caught.exception.task.reason, "handler")
        dead = self.client.dead
        page = dead.page("kind:test.fails", limit=3)
        rest = dead.page("kind:test.fails", limit=3, cursor=page.next)
        self.assertEqual({letter.id for letter in page.letters + rest.letters}, set(ids))
        self.assertEqual({letter.id for letter in dead.list("kind:test.fails")}, set(ids))
        self.assertEqual(dead.get(ids[2], full=True).args, 2)
        self.assertEqual(dead.groups(by="kind").groups[0].value, "test.fails")
        self.assertEqual(dead.discard(ids[0]).state, "discarded")
        self.assertEqual(dead.replay(ids[1]).replay, 1)
        with self.assertRaises(errors.TaskDeadError):
            self.client.result(ids[1])
        edited = dead.replay(ids[2], args=7)
        self.assertEqual(edited.replaces, ids[2])
        with self.assertRaises(errors.TaskReplacedError):
            self.client.result(ids[2])
        with self.assertRaises(errors.TaskDeadError):
            self.client.result(edited.id)
        self.assertEqual(dead.matching("kind:test.fails").matching, 3)
        told: list[str | None] = []
        replayed = dead.replay_matching(
            "kind:test.fails", limit=1, on_progress=lambda line: told.append(line.queue)
        )
        self.assertEqual((replayed.replayed, set(told) - {"default"}), (1, set()))
        with self.assertRaises(errors.InvalidError) as caught_all:
            dead.discard_matching()
        self.assertEqual(caught_all.exception.problem.errors[0].field, "filter")
        dead.discard_matching(everything=True)

    def test_queues_and_workers_are_shown_and_steered(self) -> None:
        queues = self.client.queues
        paused = queues.pause("spare", why="relay down").paused
        assert paused is not None
        self.assertEqual((paused.by, paused.why), ("ann@box", "relay down"))
        self.assertIn("spare", {queue.queue for queue in queues.list()})
        self.assertTrue(queues.resume("spare").was_paused)
        self.assertEqual(len(queues.get("default").lanes), 4)
        (worker,) = self.client.workers.list()
        self.assertIn("test.words", worker.kinds)
        self.assertEqual(self.client.workers.resize("all", worker.slots), [worker.owner])
        self.assertEqual(self.client.workers.get(worker.owner).pid, worker.pid)
        self.assertRaises(errors.NotFoundError, self.client.workers.quiet, "nobody:1")
        self.assertTrue(self.client.doctor().healthy)

    def test_schedules_are_made_changed_run_and_deleted(self) -> None:
        schedules = self.client.schedules
        made = schedules.create("words.nightly", NIGHTLY)
        self.assertEqual((made.definition, made.source.by), (NIGHTLY, "ann@box"))
        self.assertTrue(schedules.create("words.nightly", NIGHTLY).repeated)
        changed = schedules.replace("words.nightly", {**NIGHTLY, "when": "@daily"}, revision=1)
        with self.assertRaises(errors.ConflictError) as conflict:
            schedules.delete("words.nightly", revision=1)
        self.assertEqual(conflict.exception.problem.revision, changed.revision)
        schedules.pause("words.nightly", why="lunch")
        self.assertEqual([one.name for one in schedules.list(paused=True)], ["words.nightly"])
        self.assertTrue(schedules.resume("words.nightly").was_paused)
        put = schedules.run("words.nightly", key="incident-7")
        self.assertTrue(schedules.run("words.nightly", key="incident-7").repeated)
        self.assertEqual(self.client.result(put.id), 2)
        occurrence = self.client.get(put.id).occurrence
        assert occurrence is not None
        self.assertEqual(occurrence.schedule, "words.nightly")
        self.assertEqual(schedules.occurrences("words.nightly")[0].cause, "run-now")
        forecast = schedules.next("words.nightly", 2, from_="2027-03-27T12:00:00Z")
        spring, summer = (one.local.utcoffset() for one in forecast.next)
        self.assertEqual((spring, summer), (timedelta(hours=1), timedelta(hours=2)))
        since = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)
        until = since + timedelta(days=2)
        self.assertEqual(schedules.extent("words.nightly", since, until).count, 2)
        self.assertEqual(len(schedules.backfill("words.nightly", since, until).tasks), 2)
        self.assertTrue(schedules.beats()[0].leads)
        schedules.delete("words.nightly", revision=schedules.get("words.nightly").revision)
        self.assertRaises(errors.NotFoundError, schedules.get, "words.nightly")


@unittest.skipUnless(URL, "LEVERET_GATEWAY_URL names no gateway")
class LiveAsync(unittest.IsolatedAsyncioTestCase):
    async def test_the_same_works_without_blocking(self) -> None:
        async def many() -> AsyncIterator[NewTask]:
            for count in range(3):
                yield NewTask("test.words", "word " * count)

        async with AsyncClient(by="ann@box") as client:
            found = [result async for result in client.enqueue_many(many())]
            results = [await client.result(result.task.id) for result in found]
            self.assertEqual(results, [0, 1, 2])
            dead = await client.enqueue("test.fails", queue="default", tags={"async": "yes"})
            with self.assertRaises(errors.TaskDeadError):
                await client.result(dead.id)
            listed = [letter.id async for letter in client.dead.list("tag:async=yes")]
            self.assertEqual(listed, [dead.id])
            walked = await client.dead.discard_matching("tag:async=yes")
            self.assertEqual(walked.discarded, 1)
        with Lossy(URL) as proxy:
            async with AsyncClient(proxy.url) as client:
                accepted = await client.enqueue("test.words", "one")
                self.assertEqual((proxy.lost, accepted.repeated), (1, True))
