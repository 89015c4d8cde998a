// A client of Leveret, a task broker and a worker fleet.

export { Client, type WaitOptions } from "./client.ts";
export { DeadLetters, type ReplayOptions, type WalkOptions, type Which } from "./deadLetters.ts";
export * from "./errors.ts";
export type * from "./fleet.ts";
export type * from "./letters.ts";
export type * from "./models.ts";
export { type LineResult, type NewTask, newTask, type TaskOptions } from "./newTask.ts";
export type * from "./problem.ts";
export { Queues } from "./queues.ts";
export { type Range, Schedules, type Wish } from "./schedules.ts";
export type { ClientOptions, Fetch } from "./settings.ts";
export type * from "./timetable.ts";
export type { Duration, Instant } from "./values.ts";
export * as webhook from "./webhook.ts";
export { Workers } from "./workers.ts";
