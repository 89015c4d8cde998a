// What can go wrong, each with a class of its own below `LeveretError`.

import type { Walked } from "./letters.ts";
import type { Task } from "./models.ts";
import type { Problem } from "./problem.ts";

/** Anything that this package throws, but for mistakes in how it is called. */
export class LeveretError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/**
 * The gateway could not be reached, or did not answer in time, or its answer broke off. It is not
 * known whether what was asked for was done. An enqueue has the id under which it can be repeated:
 * it is one task all the same.
 */
export class NoAnswerError extends LeveretError {
  readonly id: string | undefined;

  constructor(message: string, id?: string, cause?: unknown) {
    super(message, { cause });
    this.id = id;
  }
}

/** The answer is not one of a gateway's: a proxy's page, or another server's. */
export class UnexpectedAnswerError extends LeveretError {
  readonly status: number;
  /** What the answer asks to wait, in milliseconds. */
  readonly retryAfter: number | undefined;

  constructor(message: string, status: number, retryAfter?: number) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The gateway refused, and says why in a problem (RFC 9457). */
export class ProblemError extends LeveretError {
  readonly problem: Problem;
  /** What the answer asks to wait, in milliseconds. */
  readonly retryAfter: number | undefined;
  /** What a walk over dead letters had done until then. */
  totals: Walked | undefined;

  constructor(problem: Problem, retryAfter?: number) {
    const told = (problem.errors ?? []).map(({ field, why }) => `${field}: ${why}`);
    // A single mistake is the detail already.
    const listed = told.length > 1 ? told : [];
    super([`${lastPart(problem.type)}: ${problem.detail}`, ...listed].join("; "));
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  /** The last part of the problem's type, such as `unknown-task`. */
  get problemName(): string {
    return lastPart(this.problem.type);
  }
}

/** The request, the task or the schedule is wrong; `problem.errors` has all that is. */
export class InvalidError extends ProblemError {}

/** No token or a wrong one, or the gateway was called by a name that it does not go by. */
export class AccessError extends ProblemError {}

/** Nobody knows the task, letter, queue, worker or schedule. */
export class NotFoundError extends ProblemError {}

/** It cannot be done to what is there: `problemName` says which of the conflicts it is. */
export class ConflictError extends ProblemError {}

/** The task or the request is over a limit of the gateway. */
export class TooLargeError extends ProblemError {}

/** The broker or the store cannot be used; nothing was accepted. */
export class UnavailableError extends ProblemError {}

/** It is not known whether it was accepted, or done. */
export class UnconfirmedError extends ProblemError {}

/** The task is over and was not done. */
export class TaskNotDoneError extends LeveretError {
  readonly task: Task;

  constructor(task: Task) {
    const why = task.error ? `: ${task.error.message}` : "";
    const reason = task.reason ? ` (${task.reason})` : "";
    super(`task ${task.id} is ${task.state}${reason}${why}`);
    this.task = task;
  }
}

/** The task is a dead letter; `task.reason` and `task.error` say why. */
export class TaskDeadError extends TaskNotDoneError {}

/** Somebody cancelled the task. */
export class TaskCancelledError extends TaskNotDoneError {}

/** The task was not begun before it expired. */
export class TaskExpiredError extends TaskNotDoneError {}

/** The task was a dead letter, and somebody discarded it. */
export class TaskDiscardedError extends TaskNotDoneError {}

/** The task was a dead letter, and somebody enqueued an edited copy of it. */
export class TaskReplacedError extends TaskNotDoneError {}

/** The task was not over in time; it goes on. `task` is how it stood then. */
export class WaitTimeoutError extends LeveretError {
  readonly task: Task;

  constructor(task: Task) {
    super(`task ${task.id} is still ${task.state}`);
    this.task = task;
  }
}

const BY_STATUS = new Map<number, typeof ProblemError>([
  [400, InvalidError],
  [401, AccessError],
  [403, AccessError],
  [404, NotFoundError],
  [409, ConflictError],
  [413, TooLargeError],
  [421, AccessError],
  [503, UnavailableError],
  [504, UnconfirmedError],
]);

const BY_STATE = new Map<string, typeof TaskNotDoneError>([
  ["dead", TaskDeadError],
  ["cancelled", TaskCancelledError],
  ["expired", TaskExpiredError],
  ["discarded", TaskDiscardedError],
  ["replaced", TaskReplacedError],
]);

/** Tells whether a JSON document is a problem. */
export function isProblem(document: unknown): document is Problem {
  const { type, title, status } = (document ?? {}) as Partial<Problem>;
  return typeof type === "string" && typeof title === "string" && typeof status === "number";
}

/** Creates the error of a problem. */
export function ofProblem(problem: Problem, retryAfter?: number): ProblemError {
  return new (BY_STATUS.get(problem.status) ?? ProblemError)(problem, retryAfter);
}

/** Creates the error of a task that is over and was not done. */
export function ofEnd(task: Task): TaskNotDoneError {
  return new (BY_STATE.get(task.state) ?? TaskNotDoneError)(task);
}

function lastPart(type: string): string {
  return type.slice(type.lastIndexOf("/") + 1);
}
