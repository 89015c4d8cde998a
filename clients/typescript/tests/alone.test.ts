// What needs no gateway.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { Batch } from "../src/batch.ts";
import { ofProblem } from "../src/errors.ts";
import {
  Client,
  type Fetch,
  InvalidError,
  NoAnswerError,
  newTask,
  type Problem,
  TooLargeError,
  UnavailableError,
  UnexpectedAnswerError,
  webhook,
} from "../src/index.ts";
import { retryAfter, Tries } from "../src/repeat.ts";
import { VERSION } from "../src/settings.ts";
import { instant, millis, part, uuid7 } from "../src/values.ts";

const PROBLEM: Problem = {
  type: "/problems/unavailable",
  title: "away",
  status: 503,
  detail: "away",
};
const ACCEPTED = { id: "7", state: "queued", queue: "mail", class: "normal" };

describe("values", () => {
  test("durations are text with a unit", () => {
    assert.equal(millis("1h30m5s250ms"), 5_405_250);
    for (const wrong of ["", "5", "1.5s", "s"]) assert.throws(() => millis(wrong), TypeError);
    assert.throws(() => millis(5 as unknown as string), TypeError);
  });

  test("an instant is a date or text", () => {
    assert.equal(instant(new Date(0)), "1970-01-01T00:00:00.000Z");
    assert.equal(instant("2027-01-31T08:00:00+01:00"), "2027-01-31T08:00:00+01:00");
  });

  test("a name is one part of a path", () => {
    assert.equal(part("order 7/ä"), "order%207%2F%C3%A4");
    for (const wrong of ["", ".", ".."]) assert.throws(() => part(wrong), TypeError);
  });

  test("ids are UUIDs of version 7, and differ", () => {
    const ids = Array.from({ length: 1_000 }, uuid7);
    assert.equal(new Set(ids).size, 1_000);
    const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    for (const id of ids) assert.match(id, shape);
    const time = Number.parseInt(uuid7().replace("-", "").slice(0, 12), 16);
    assert.ok(Math.abs(Date.now() - time) < 60_000);
  });

  test("a new task is the same task however often it is sent", () => {
    assert.match(newTask("email.welcome").id ?? "", /-7/);
    assert.equal(newTask("email.welcome", {}, { key: "welcome-7" }).id, undefined);
  });

  test("the version is that of the package", () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    assert.equal(VERSION, version);
  });

  test("who asks is visible text", () => {
    for (const by of ["änn", "ann\nbox"]) assert.throws(() => new Client({ by }), TypeError);
  });

  test("the address of a gateway is checked", () => {
    const people = ["http://ann@box", "http://:pw@box"];
    for (const url of ["box:7878", "ftp://box", ...people, "http://box?x=1"]) {
      assert.throws(() => new Client({ url }), TypeError, url);
    }
  });
});

describe("repeats", () => {
  type Asked = RequestInit;

  function client(answer: (asked: Asked[]) => Response, retries = 2): [Client, Asked[]] {
    const asked: Asked[] = [];
    const fetch = async (_: URL, init: RequestInit) => {
      asked.push(init);
      return answer(asked);
    };
    return [new Client({ url: "http://gateway", retries, fetch }), asked];
  }

  const lose = () => {
    throw new TypeError("fetch failed");
  };
  const away = () => Response.json(PROBLEM, { status: 503 });
  const idOf = (asked: Asked) => (JSON.parse(String(asked.body)) as { id: string }).id;

  test("an enqueue is repeated under one id", async () => {
    const [one, asked] = client((asked) => (asked.length < 3 ? lose() : Response.json(ACCEPTED)));
    await one.enqueue("email.welcome");
    assert.equal(asked.length, 3);
    assert.equal(new Set(asked.map(idOf)).size, 1);
  });

  test("an enqueue that is given up names its id", async () => {
    const [one, asked] = client(lose);
    await assert.rejects(one.enqueue("email.welcome"), (error: unknown) => {
      assert.ok(error instanceof NoAnswerError);
      return error.id === idOf(asked[0]!) && asked.length === 3;
    });
  });

  test("what could be done twice is not repeated", async () => {
    const [one, asked] = client(away);
    const acts: (() => Promise<unknown>)[] = [
      () => one.cancel("7"),
      () => one.queues.pause("mail"),
      () => one.dead.replay("7"),
      () => one.dead.discardMatching({ filter: "queue:mail" }),
      () => one.schedules.delete("nightly"),
      () => one.workers.stop("all"),
    ];
    for (const act of acts) {
      asked.length = 0;
      await assert.rejects(act(), UnavailableError);
      assert.equal(asked.length, 1);
    }
  });

  test("a run is repeated under one key", async () => {
    const [one, asked] = client(away, 1);
    await assert.rejects(one.schedules.run("nightly"), UnavailableError);
    const keys = asked.map(({ headers }) => new Headers(headers).get("idempotency-key"));
    assert.equal(keys.length, 2);
    assert.equal(new Set(keys).size, 1);
  });

  test("pauses grow, have jitter and honour Retry-After", () => {
    const tries = new Tries(3, () => 1);
    const lost = new NoAnswerError("lost");
    assert.deepEqual(
      [1, 2, 3, 4].map(() => tries.pauseAfter(lost)),
      [200, 400, 800, undefined],
    );
    assert.equal(new Tries(1, () => 0).pauseAfter(lost), 100);
    assert.equal(new Tries(1, () => 1).pauseAfter(ofProblem(PROBLEM, 2_000)), 2_200);
    assert.equal(new Tries(1).pauseAfter(ofProblem(PROBLEM, 61_000)), undefined);
    assert.equal(new Tries(1).pauseAfter(ofProblem({ ...PROBLEM, status: 400 })), undefined);
  });

  test("Retry-After is seconds or a date", () => {
    const now = Date.UTC(2026, 10, 21, 14, 58, 30);
    assert.equal(retryAfter(" 2 "), 2_000);
    assert.equal(retryAfter("Sat, 21 Nov 2026 14:58:40 GMT", now), 10_000);
    assert.equal(retryAfter("Sat, 21 Nov 2026 14:58:00 GMT", now), 0);
    assert.equal(retryAfter("soon"), undefined);
  });

  test("an answer of another server is told apart", async () => {
    const [one] = client(() => new Response("<html>Welcome"));
    await assert.rejects(one.get("7"), UnexpectedAnswerError);
    const [two, asked] = client(() => new Response("<html>Bad gateway", { status: 502 }));
    await assert.rejects(two.get("7"), /502/);
    assert.equal(asked.length, 3);
  });

  test("an object that is no task is no success", async () => {
    for (const wrong of [{}, [], { ok: true }, { id: 7, state: "queued" }]) {
      const [one] = client(() => Response.json(wrong));
      await assert.rejects(one.enqueue("email.welcome"), UnexpectedAnswerError);
      await assert.rejects(one.get("7"), UnexpectedAnswerError);
      await assert.rejects(one.wait("7", { timeout: "1s" }), UnexpectedAnswerError);
    }
    const [one] = client(() => Response.json({ id: "7" }));
    await assert.rejects(one.get("7"), UnexpectedAnswerError);
  });

  test("numbers that JSON does not have are not sent as null", async () => {
    const [one, asked] = client(() => Response.json(ACCEPTED));
    for (const wrong of [Number.NaN, Infinity, -Infinity]) {
      await assert.rejects(one.enqueue("email.welcome", { count: wrong }), TypeError);
      const task = newTask("email.welcome", [wrong]);
      await assert.rejects(one.enqueueMany([task]).next(), TypeError);
    }
    assert.equal(asked.length, 0);
  });

  test("silence ends, and so does what its caller aborts", async () => {
    const silent: Fetch = (_, init) =>
      new Promise((_, reject) => {
        init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      });
    const one = new Client({ url: "http://gateway", timeout: "20ms", retries: 0, fetch: silent });
    await assert.rejects(one.queues.list(), /too long/);
    const controller = new AbortController();
    const waiting = one.wait("7", { signal: controller.signal });
    controller.abort(new Error("never mind"));
    await assert.rejects(waiting, /never mind/);
  });

  test("a walk whose answer breaks off is no success", async () => {
    const walked = '{"queue":"mail","walked":{"total":5,"taken":1}}\n';
    const [one] = client(() => new Response(walked));
    await assert.rejects(one.dead.replayMatching({ all: true }), NoAnswerError);
    const [alien] = client(() => new Response('{"error":{"oops":1}}\n'));
    await assert.rejects(alien.dead.replayMatching({ all: true }), UnexpectedAnswerError);
    const end = JSON.stringify({ error: PROBLEM, totals: { taken: 3 } });
    const [two] = client(() => new Response(`${walked}${end}\n`));
    await assert.rejects(two.dead.replayMatching({ all: true }), (error: unknown) => {
      return error instanceof UnavailableError && error.totals?.taken === 3;
    });
  });
});

describe("batches", () => {
  const filled = (count: number) => {
    const batch = new Batch(0);
    for (let id = 0; id < count; id += 1) batch.add({ kind: "email.welcome", id: String(id) });
    return batch;
  };
  const sent = (batch: Batch) => {
    const lines = batch.call().lines!.trimEnd().split("\n");
    return lines.map((line) => (JSON.parse(line) as { id: string }).id);
  };

  test("what passes is sent again, and told in the end", () => {
    const batch = filled(3);
    batch.take([ACCEPTED, { line: 2, error: PROBLEM }, ACCEPTED], false);
    assert.deepEqual(sent(batch), ["1"]);
    batch.take([{ line: 1, error: PROBLEM }], true);
    assert.ok(batch.isDone);
    assert.deepEqual(
      batch.results().map(({ index }) => index),
      [0, 1, 2],
    );
    assert.ok(batch.results()[1]?.error instanceof UnavailableError);
  });

  test("lines beyond what the gateway takes at once go into the next request", () => {
    const large = { ...PROBLEM, type: "/problems/too-large", status: 413 };
    const batch = filled(4);
    batch.take([ACCEPTED, ACCEPTED, { line: 3, error: large }], false);
    assert.deepEqual([sent(batch), batch.passing], [["2", "3"], undefined]);
    // One that is too large by itself is not sent for ever.
    batch.take([{ line: 1, error: large }, ACCEPTED], false);
    assert.ok(batch.isDone);
    assert.ok(batch.results()[2]?.error instanceof TooLargeError);
  });

  test("a line whose body was too slow is sent again", () => {
    const slow = { ...PROBLEM, type: "/problems/slow-body", status: 408 };
    const batch = filled(3);
    batch.take([ACCEPTED, { line: 2, error: slow }], false);
    assert.deepEqual(sent(batch), ["1", "2"]);
    assert.ok(batch.passing !== undefined);
  });

  test("lines of an answer that broke off are sent again", () => {
    const batch = filled(3);
    batch.take([ACCEPTED], false);
    assert.deepEqual(sent(batch), ["1", "2"]);
    batch.take([], false);
    assert.ok(batch.passing instanceof NoAnswerError);
  });
});

describe("webhooks", () => {
  const body = '{"order":7}';
  const secret = "sixteen-letters-";
  const now = new Date(1_798_794_000_000);
  const digits = "ed37ebe23f6ba89da2d1d5eb4d0368b047c77bfaacf2eefc8d56d8dc6081a037";
  const header = `t=1798794000,v1=${digits}`;

  test("a signature of either secret is accepted", async () => {
    const other = createHmac("sha256", "another-sixteen!").update(`1798794000.${body}`);
    const both = `t=1798794000,v1=${other.digest("hex")},v1=${digits}`;
    await webhook.verify(body, header, secret, { now });
    await webhook.verify(new TextEncoder().encode(body), header, ["new-secret", secret], { now });
    await webhook.verify(body, both, secret, { now });
  });

  test("what is not signed so is refused", async () => {
    const wrong: [string, string | null][] = [
      [`${body} `, header],
      [body, header.replace("ed37", "ed38")],
      [body, header.replace("1798794000", "1798794001")],
      [body, `v1=${digits}`],
      [body, "t=1798794000,v1=é"],
      [body, ""],
      [body, null],
    ];
    for (const [body, header] of wrong) {
      await assert.rejects(webhook.verify(body, header, secret, { now }), webhook.SignatureError);
    }
    for (const late of [360_000, -360_000]) {
      const then = new Date(now.getTime() + late);
      await assert.rejects(webhook.verify(body, header, secret, { now: then }), /in time/);
    }
    const never = new Date(Number.NaN);
    await assert.rejects(webhook.verify(body, header, secret, { now: never }), /in time/);
    await assert.rejects(webhook.verify(body, header, ""), TypeError);
  });
});

test("problems tell all that is wrong", () => {
  const errors = [
    { field: "kind", why: "it is missing" },
    { field: "at", why: "it is late" },
  ];
  const invalid = ofProblem({ ...PROBLEM, type: "/problems/invalid-task", status: 400, errors });
  assert.ok(invalid instanceof InvalidError);
  assert.equal(invalid.problemName, "invalid-task");
  assert.match(invalid.message, /kind: it is missing; at: it is late/);
});
