// The client: tasks put in, asked for, waited for and cancelled.

import { Batch } from "./batch.ts";
import { DeadLetters } from "./deadLetters.ts";
import { ofEnd, WaitTimeoutError } from "./errors.ts";
import type { Diagnosis } from "./fleet.ts";
import type { Accepted, Cancelled, Explanation, Task } from "./models.ts";
import { documentOf, type LineResult, type NewTask, newTask, type TaskOptions } from "./newTask.ts";
import { Queues } from "./queues.ts";
import { isPassing, sleep, Tries } from "./repeat.ts";
import { Schedules } from "./schedules.ts";
import { type ClientOptions, settle } from "./settings.ts";
import { type Call, Transport } from "./transport.ts";
import { type Duration, millis } from "./values.ts";
import { Workers } from "./workers.ts";

/** How long one request waits for a task, in milliseconds; the gateway takes up to a minute. */
const MOST_WAITED = 30_000;
/** How many tasks one request holds where nothing else is said. */
const LINES = 500;
const OVER = new Set(["done", "dead", "cancelled", "expired", "discarded", "replaced"]);

export interface WaitOptions {
  /** How long to wait; `5m`. */
  timeout?: Duration;
  signal?: AbortSignal;
}

/** A client of one gateway. */
export class Client {
  readonly #transport: Transport;
  readonly dead: DeadLetters;
  readonly queues: Queues;
  readonly workers: Workers;
  readonly schedules: Schedules;

  constructor(options: ClientOptions = {}) {
    this.#transport = new Transport(settle(options));
    this.dead = new DeadLetters(this.#transport);
    this.queues = new Queues(this.#transport);
    this.workers = new Workers(this.#transport);
    this.schedules = new Schedules(this.#transport);
  }

  /**
   * Puts a task in. When it resolves, the broker has it safe.
   *
   * Without `key` and `id` the task gets an id here, so that a request whose answer was lost is
   * repeated and is one task all the same.
   */
  enqueue(kind: string, args?: unknown, options: TaskOptions = {}): Promise<Accepted> {
    const task = newTask(kind, args, options);
    const body = documentOf(task);
    return this.#transport.send({
      method: "POST",
      path: "/v1/tasks",
      body,
      texts: ["id"],
      repeatable: true,
      id: task.id,
    });
  }

  /**
   * Puts many tasks in, `atOnce` in a request, and yields what became of each, in order. Nothing is
   * put in before it is iterated, and nothing more once that ends early.
   *
   * One that is refused stops no other: its result has the error. What passes is repeated. If the
   * gateway cannot be asked any more it throws; what `newTask` made is the same task if it is sent
   * again.
   */
  async *enqueueMany(
    tasks: Iterable<NewTask> | AsyncIterable<NewTask>,
    { atOnce = LINES }: { atOnce?: number } = {},
  ): AsyncGenerator<LineResult> {
    let batch = new Batch(0);
    for await (const task of tasks) {
      batch.add(task);
      if (batch.isFull(atOnce)) {
        yield* this.#putIn(batch);
        batch = new Batch(batch.end);
      }
    }
    if (batch.size > 0) yield* this.#putIn(batch);
  }

  async *#putIn(batch: Batch): AsyncGenerator<LineResult> {
    const tries = this.#transport.tries();
    let wrong: unknown;
    while (!batch.isDone) {
      const answers: unknown[] = [];
      wrong = undefined;
      try {
        for await (const line of this.#transport.lines(batch.call())) answers.push(line);
      } catch (error) {
        wrong = error;
      }
      batch.take(answers, tries.isSpent);
      wrong ??= batch.passing;
      if (wrong === undefined) continue;
      const pause = tries.pauseAfter(wrong);
      if (pause === undefined) break;
      await sleep(pause);
    }
    yield* batch.results();
    if (wrong !== undefined && !batch.isDone) throw wrong;
  }

  /** Asks how a task stands; with `wait` (at most a minute) once it is over or that is. */
  get<Result = unknown>(
    id: string,
    { wait, signal }: { wait?: Duration; signal?: AbortSignal } = {},
  ): Promise<Task<Result>> {
    return this.#transport.send(task(id, wait, signal));
  }

  /** Waits until a task is over, however it ends; `WaitTimeoutError` if it is not in time. */
  async wait<Result = unknown>(
    id: string,
    { timeout = "5m", signal }: WaitOptions = {},
  ): Promise<Task<Result>> {
    const end = performance.now() + millis(timeout);
    const pauses = new Tries(0);
    for (;;) {
      const began = performance.now();
      const asked = Math.min(Math.max(Math.floor(end - began), 0), MOST_WAITED);
      try {
        const found = await this.#transport.once<Task<Result>>(task(id, `${asked}ms`, signal));
        if (OVER.has(found.state)) return found;
        if (performance.now() >= end) throw new WaitTimeoutError(found);
        if (performance.now() - began >= asked / 2) continue;
      } catch (error) {
        // A broker or a gateway that is away for a while is waited for, too.
        if (!isPassing(error) || performance.now() >= end) throw error;
      }
      // The answer came early: the gateway ends, or the state is new to us.
      await sleep(Math.min(pauses.pause(), Math.max(end - performance.now(), 0)), signal);
    }
  }

  /** Waits for a task's result; throws a `TaskNotDoneError` if it ends in another way. */
  async result<Result = unknown>(id: string, options: WaitOptions = {}): Promise<Result> {
    const found = await this.wait<Result>(id, options);
    if (found.state !== "done") throw ofEnd(found);
    return found.result as Result;
  }

  /**
   * Cancels a task; with `wait` (at most a minute) it waits for the end of one that runs.
   * `force` cancels an id that nobody knows: its message may still come.
   */
  cancel(
    id: string,
    { wait, force = false }: { wait?: Duration; force?: boolean } = {},
  ): Promise<Cancelled> {
    return this.#transport.send({
      method: "POST",
      path: "/v1/tasks/{id}/cancel",
      names: { id },
      query: { wait },
      body: force ? { force } : undefined,
      longer: wait === undefined ? 0 : millis(wait),
    });
  }

  /** Says where a task is, why it does not run, and what to do. */
  explain(id: string): Promise<Explanation> {
    return this.#transport.send({ method: "GET", path: "/v1/tasks/{id}/explain", names: { id } });
  }

  /** Looks at broker, store and fleet, and says what is wrong. */
  doctor(): Promise<Diagnosis> {
    return this.#transport.send({ method: "GET", path: "/v1/doctor" });
  }
}

function task(id: string, wait: Duration | undefined, signal: AbortSignal | undefined): Call {
  const longer = wait === undefined ? 0 : millis(wait);
  const texts = ["id", "state"];
  const query = { wait };
  return { method: "GET", path: "/v1/tasks/{id}", names: { id }, query, texts, longer, signal };
}
