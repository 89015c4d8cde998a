// Against a gateway that runs: `LEVERET_GATEWAY_URL` says where, and without it these are skipped.
//
// It is a fresh one whose workers know three kinds: `test.words` counts words, `test.fails` is dead
// at once, `test.sleeps` goes on for a minute.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  AccessError,
  Client,
  ConflictError,
  type ScheduleDefinition,
  InvalidError,
  newTask,
  NoAnswerError,
  NotFoundError,
  TaskCancelledError,
  TaskDeadError,
  TaskReplacedError,
  WaitTimeoutError,
} from "../src/index.ts";
import { lossy } from "./lossy.ts";

const URL_OF_GATEWAY = process.env["LEVERET_GATEWAY_URL"];
const skip = URL_OF_GATEWAY ? false : "LEVERET_GATEWAY_URL names no gateway";
const NIGHTLY: ScheduleDefinition = {
  when: "30 2 * * *",
  zone: "Europe/Berlin",
  kind: "test.words",
  args: "one two",
};

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Asserts how a promise is rejected, and returns the error. */
async function refused<E extends Error>(
  promise: Promise<unknown>,
  kind: abstract new (...args: never[]) => E,
): Promise<E> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  return assert.fail(`it is no ${kind.name}`);
}

describe("live", { skip }, () => {
  const client = new Client({ by: "ann@box" });

  test("a task is put in, and its result comes back", async () => {
    const began = Date.now() - 1_000;
    const options = { class: "high", tags: { tenant: "42" }, timeout: "10s" };
    const accepted = await client.enqueue("test.words", "one two three", options);
    assert.deepEqual([accepted.state, accepted.class], ["queued", "high"]);
    assert.equal(await client.result<number>(accepted.id), 3);
    const task = await client.get(accepted.id);
    assert.deepEqual([task.kind, task.tags], ["test.words", { tenant: "42" }]);
    assert.ok(new Date(task.enqueued_at!).getTime() > began);
    assert.deepEqual(
      task.history.map(({ outcome }) => outcome),
      ["done"],
    );
    const again = await client.enqueue("test.words", "one two three", { id: accepted.id });
    assert.equal(again.repeated, true);
  });

  test("a delayed task says when, and can be cancelled", async () => {
    const at = new Date(Date.now() + 3_600_000);
    const id = "order 7/ä";
    const accepted = await client.enqueue("test.words", "one", { at, id });
    assert.equal(accepted.state, "delayed");
    assert.ok(Math.abs(new Date(accepted.next_at!).getTime() - at.getTime()) < 1_000);
    const told = await client.explain(id);
    assert.deepEqual([told.state, told.custody.place], ["delayed", "delay"]);
    assert.equal((await client.cancel(id)).state, "cancelled");
    const error = await refused(client.result(id), TaskCancelledError);
    assert.equal(error.task.acts?.[0]?.by, "ann@box");
  });

  test("one that runs is waited for and cancelled", async () => {
    const { id } = await client.enqueue("test.sleeps");
    const late = await refused(client.wait(id, { timeout: "100ms" }), WaitTimeoutError);
    assert.equal(late.task.id, id);
    assert.equal((await client.cancel(id, { wait: "20s" })).state, "cancelled");
  });

  test("refusals say everything that is wrong", async () => {
    const wrong = client.enqueue("test.words", null, { class: "urgent", delay: "5" });
    const { problem } = await refused(wrong, InvalidError);
    assert.deepEqual(problem.errors?.map(({ field }) => field).sort(), ["class", "delay"]);
    await client.enqueue("test.words", "one", { key: "order-7" });
    const other = client.enqueue("test.words", "two", { key: "order-7" });
    assert.equal((await refused(other, ConflictError)).problemName, "key-conflict");
    await refused(client.get("nobody-knows"), NotFoundError);
    await refused(new Client({ token: "another" }).queues.list(), AccessError);
  });

  test("many are put in, and each is answered", async () => {
    const tasks = Array.from({ length: 5 }, (_, count) =>
      newTask("test.words", "word ".repeat(count)),
    );
    const found = await all(client.enqueueMany([...tasks, { kind: "No kind" }], { atOnce: 4 }));
    assert.deepEqual(
      found.map(({ index }) => index),
      [0, 1, 2, 3, 4, 5],
    );
    assert.ok(found[5]?.error instanceof InvalidError);
    const ids = found.slice(0, 5).map(({ accepted }) => accepted!.id);
    assert.deepEqual(await Promise.all(ids.map((id) => client.result(id))), [0, 1, 2, 3, 4]);
    const again = await all(client.enqueueMany(tasks));
    assert.ok(again.every(({ accepted }) => accepted?.repeated));
  });

  test("a lost answer makes no second task", async () => {
    const one = await lossy(URL_OF_GATEWAY!);
    const accepted = await new Client({ url: one.url }).enqueue("test.words", "one two");
    assert.deepEqual([one.lost(), accepted.repeated], [1, true]);
    one.close();
    assert.equal(await client.result(accepted.id), 2);
    assert.equal((await client.get(accepted.id)).history.length, 1);

    const many = await lossy(URL_OF_GATEWAY!, '"line":3');
    const tasks = ["one", "two", "three"].map((args) => ({ kind: "test.words", args }));
    const found = await all(new Client({ url: many.url }).enqueueMany(tasks));
    assert.equal(many.lost(), 1);
    assert.ok(found.length === 3 && found.every((result) => result.accepted?.repeated));
    many.close();

    const act = await lossy(URL_OF_GATEWAY!);
    const other = new Client({ url: act.url });
    await refused(other.queues.resume("default"), NoAnswerError);
    assert.equal((await other.get(accepted.id)).state, "done");
    act.close();
  });

  test("dead letters are listed, replayed and discarded", async () => {
    const ids: string[] = [];
    for (const number of [0, 1, 2, 3]) {
      const { id } = await client.enqueue("test.fails", number);
      assert.equal((await refused(client.result(id), TaskDeadError)).task.reason, "handler");
      ids.push(id);
    }
    const { dead } = client;
    const filter = "kind:test.fails";
    const page = await dead.page({ filter, limit: 3 });
    const rest = await dead.page({ filter, limit: 3, cursor: page.next! });
    const listed = [...page.letters, ...rest.letters].map(({ id }) => id);
    assert.deepEqual(listed.sort(), [...ids].sort());
    assert.equal((await all(dead.list(filter))).length, 4);
    assert.equal((await dead.get(ids[2]!, { full: true })).args, 2);
    assert.equal((await dead.groups({ by: "kind" })).groups[0]?.value, "test.fails");
    assert.equal((await dead.discard(ids[0]!)).state, "discarded");
    assert.equal((await dead.replay(ids[1]!)).replay, 1);
    await refused(client.result(ids[1]!), TaskDeadError);
    const edited = await dead.replay(ids[2]!, { args: 7 });
    assert.equal(edited.replaces, ids[2]);
    await refused(client.result(ids[2]!), TaskReplacedError);
    await refused(client.result(edited.id), TaskDeadError);
    assert.equal((await dead.matching({ filter })).matching, 3);
    const told: unknown[] = [];
    const onProgress = (line: object) => told.push(line);
    const replayed = await dead.replayMatching({ filter }, { limit: 1, onProgress });
    assert.equal(replayed.replayed, 1);
    const nothing = await refused(dead.discardMatching({ filter: "" }), InvalidError);
    assert.equal(nothing.problem.errors?.[0]?.field, "filter");
    await dead.discardMatching({ all: true });
  });

  test("queues and workers are shown and steered", async () => {
    const { queues, workers } = client;
    const { paused } = await queues.pause("spare", { why: "relay down" });
    assert.deepEqual([paused?.by, paused?.why], ["ann@box", "relay down"]);
    assert.ok((await queues.list()).some(({ queue }) => queue === "spare"));
    assert.equal((await queues.resume("spare")).was_paused, true);
    assert.equal((await queues.get("default")).lanes.length, 4);
    const worker = (await workers.list())[0]!;
    assert.ok(worker.kinds.includes("test.words"));
    assert.deepEqual(await workers.resize("all", worker.slots), [worker.owner]);
    assert.equal((await workers.get(worker.owner)).pid, worker.pid);
    await refused(workers.quiet("nobody:1"), NotFoundError);
    assert.equal((await client.doctor()).healthy, true);
  });

  test("schedules are made, changed, run and deleted", async () => {
    const { schedules } = client;
    const made = await schedules.create("words.nightly", NIGHTLY);
    assert.deepEqual([made.definition, made.source.by], [NIGHTLY, "ann@box"]);
    assert.equal((await schedules.create("words.nightly", NIGHTLY)).repeated, true);
    const daily = { ...NIGHTLY, when: "@daily" };
    const changed = await schedules.replace("words.nightly", daily, { revision: 1 });
    const conflict = await refused(
      schedules.delete("words.nightly", { revision: 1 }),
      ConflictError,
    );
    assert.equal(conflict.problem.revision, changed.revision);
    await schedules.pause("words.nightly", { why: "lunch" });
    const paused = await all(schedules.list({ paused: true }));
    assert.deepEqual(
      paused.map(({ name }) => name),
      ["words.nightly"],
    );
    assert.equal((await schedules.resume("words.nightly")).was_paused, true);
    const put = await schedules.run("words.nightly", { key: "incident-7" });
    assert.equal((await schedules.run("words.nightly", { key: "incident-7" })).repeated, true);
    assert.equal(await client.result(put.id), 2);
    assert.equal((await client.get(put.id)).occurrence?.schedule, "words.nightly");
    assert.equal((await schedules.occurrences("words.nightly"))[0]?.cause, "run-now");
    const forecast = await schedules.next("words.nightly", { n: 2, from: "2027-03-27T12:00:00Z" });
    assert.deepEqual(
      forecast.next.map(({ local }) => local.slice(-6)),
      ["+01:00", "+02:00"],
    );
    const range = { from: new Date("2026-01-10T12:00:00Z"), to: "2026-01-12T12:00:00Z" };
    assert.equal((await schedules.extent("words.nightly", range)).count, 2);
    assert.equal((await schedules.backfill("words.nightly", range)).tasks.length, 2);
    assert.equal((await schedules.beats())[0]?.leads, true);
    const { revision } = await schedules.get("words.nightly");
    await schedules.delete("words.nightly", { revision });
    await refused(schedules.get("words.nightly"), NotFoundError);
  });
});
