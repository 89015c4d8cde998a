// What the gateway answers about tasks, named as it is sent.
//
// Times are RFC 3339 text in UTC: `new Date(task.enqueued_at)`. A newer gateway may have states
// and members that are not here; they are handed on as they come.

/** Text of which these are known; a newer gateway may have others. */
export type Open<Known extends string> = Known | (string & {});

export type State = Open<
  | "queued"
  | "delayed"
  | "running"
  | "retrying"
  | "done"
  | "dead"
  | "cancelled"
  | "expired"
  | "discarded"
  | "replaced"
>;

export type Class = Open<"critical" | "high" | "normal" | "low">;

/** A task that the broker has safe. */
export interface Accepted {
  id: string;
  state: State;
  queue: string;
  class: Class;
  next_at?: string;
  /** Whether its key or id was accepted before; this is about the first. */
  repeated?: boolean;
}

/** How an attempt failed. */
export interface Failure {
  class: string;
  message: string;
  at: string;
}

/** An attempt that is over. */
export interface Attempt {
  attempt: number;
  replay?: number;
  outcome: string;
  worker: string;
  started_at?: string;
  ended_at: string;
  next_at?: string;
  error?: Failure;
  reason?: string;
}

/** What somebody did to a task. */
export interface Act {
  action: Open<"cancelled" | "replayed" | "discarded" | "replaced">;
  replay: number;
  /** The edited copy, where it was replaced. */
  with?: string;
  at: string;
  by: string;
}

/** Who runs a task. */
export interface Running {
  since: string;
  worker: string;
}

/** What an attempt said last of itself. */
export interface Progress {
  attempt: number;
  at: string;
  percent?: number;
  message?: string;
  /** The bytes of what the next attempt goes on from. */
  checkpoint?: number;
}

/** The occurrence of a schedule that a task was put in for. */
export interface TaskOccurrence {
  schedule: string;
  due?: string;
  revision?: number;
}

/** A task as it stands. */
export interface Task<Result = unknown> {
  id: string;
  state: State;
  attempt: number;
  kind?: string;
  queue?: string;
  class?: Class;
  enqueued_at?: string;
  key?: string;
  origin_id?: string;
  tags?: Record<string, string>;
  occurrence?: TaskOccurrence;
  next_at?: string;
  running?: Running;
  progress?: Progress;
  result?: Result;
  error?: Failure;
  reason?: string;
  history: Attempt[];
  acts?: Act[];
}

/** A cancel: `cancelled` if it will not run, `cancelling` while it still runs. */
export interface Cancelled {
  id: string;
  state: Open<"cancelled" | "cancelling">;
  worker?: string;
  /** How long it holds, where nobody knew the task. */
  until?: string;
}

/** Who paused something, when and why. */
export interface Pause {
  by: string;
  at: string;
  why?: string | null;
}

/** A worker, and how long ago it last spoke. */
export interface WorkerRef {
  owner: string;
  host?: string;
  pid?: number;
  heartbeat_age_ms?: number;
}

/** One of the things that an unknown id may be. */
export interface Possibility {
  what: Open<"never-accepted" | "not-recorded" | "forgotten">;
  excluded: boolean;
  why: string;
}

/** Where a task is; which members it has depends on `place`. */
export interface Custody {
  place: Open<"unknown" | "lane" | "delay" | "worker" | "finishing" | "blocked" | "dead" | "over">;
  possibilities?: Possibility[];
  lane?: string;
  presumed?: boolean;
  depth?: number;
  consumers?: number;
  rate?: number;
  waiting?: number;
  workers_serving?: number;
  workers_able?: number;
  paused?: Pause;
  until?: string;
  worker?: WorkerRef;
  since?: string;
  attempt?: number;
  cancelling?: boolean;
  outcome?: string;
  why?: string;
  queue?: string;
  reason?: string;
  error_class?: string;
  error?: string;
  attempts?: number;
  listed?: boolean;
  by?: string;
  with?: string;
}

/** Where a task is, why it does not run, and what to do. */
export interface Explanation {
  id: string;
  state: State;
  summary: string;
  custody: Custody;
  because: string[];
  do: string[];
}
