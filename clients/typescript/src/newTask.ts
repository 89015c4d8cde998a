// Tasks as they are put in.

import type { Accepted, Class } from "./models.ts";
import type { ProblemError, UnexpectedAnswerError } from "./errors.ts";
import { type Duration, type Instant, instant, uuid7 } from "./values.ts";

/** What can be said of a task beside its kind and its args. */
export interface TaskOptions {
  queue?: string;
  class?: Class;
  /** Not before this is over. */
  delay?: Duration;
  /** Not before then. */
  at?: Instant;
  /** The same key, kind and args are the same task. */
  key?: string;
  /** A UUID, or what the sender calls it. */
  id?: string;
  /** If it has not begun by then, it does not begin. */
  expires?: Duration;
  /** How long an attempt may take. */
  timeout?: Duration;
  max_attempts?: number;
  tags?: Record<string, string>;
}

/** A task to be put in. */
export interface NewTask extends TaskOptions {
  kind: string;
  args?: unknown;
}

/** What became of one of many tasks: it is accepted, or there is an error. */
export interface LineResult {
  /** Which of those that were given, from 0. */
  index: number;
  accepted?: Accepted;
  error?: ProblemError | UnexpectedAnswerError;
}

/** Makes a task with an id, if it has neither that nor a key: sent twice, it is one task. */
export function newTask(kind: string, args?: unknown, options: TaskOptions = {}): NewTask {
  return named({ kind, args, ...options });
}

/** Gives a task an id, if it has neither that nor a key. */
export function named(task: NewTask): NewTask {
  return task.id === undefined && task.key === undefined ? { ...task, id: uuid7() } : task;
}

/** Returns what is sent. */
export function documentOf(task: NewTask): unknown {
  return task.at === undefined ? task : { ...task, at: instant(task.at) };
}
