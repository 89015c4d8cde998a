// What the gateway answers about queues, workers, and the health of all of it.

import type { Class, Open, Pause } from "./models.ts";

/** A lane of a queue. */
export interface QueueLane {
  lane: string;
  class: Class;
  depth: number;
  consumers: number;
  oldest: string | null;
  oldest_at_most: string | null;
  rate: number;
  waiting: number;
}

/** A queue. */
export interface Queue {
  queue: string;
  paused: Pause | null;
  workers: number;
  dead: number;
  lanes: QueueLane[];
}

/** A queue that was paused or resumed. */
export interface PausedQueue {
  queue: string;
  paused: Pause | null;
  was_paused?: boolean;
}

/** A lane that a worker serves. */
export interface WorkerLane {
  lane: string;
  consuming: boolean;
  waiting: number;
  rate: number;
  reached?: string;
}

/** A worker, as its last heartbeat says. */
export interface Worker {
  owner: string;
  host: string;
  pid: number;
  state: Open<"running" | "quiet" | "draining">;
  version: string;
  started_at: string;
  at: string;
  heartbeat_age_ms: number;
  slots: number;
  in_use: number;
  attempts: number;
  memory: number;
  lanes: WorkerLane[];
  kinds: string[];
  running: string[];
}

/** One thing that the doctor looked at. */
export interface Finding {
  part: string;
  check: string;
  health: Open<"good" | "risky" | "bad">;
  found: string;
  mend?: string;
  took_ms?: number;
  room?: number;
}

/** What the doctor says, the worst first. */
export interface Diagnosis {
  healthy: boolean;
  findings: Finding[];
}

/** Queues, as an answer holds them. */
export interface QueueList {
  queues: Queue[];
}

/** Workers, as an answer holds them. */
export interface WorkerList {
  workers: Worker[];
}

/** The owners of workers that were asked for something. */
export interface AskedWorkers {
  workers: string[];
}
