// What the gateway answers about schedules, and how a schedule is written.

import type { Class, Open, Pause, State } from "./models.ts";
import type { Source } from "./problem.ts";

export type MisfirePolicy = Open<"skip" | "latest" | "all">;

/** All that can be said of missed occurrences. */
export interface MisfireRules {
  policy?: MisfirePolicy;
  after?: string;
  window?: string;
  max?: number;
}

/** What a schedule says. Times and durations are text. */
export interface ScheduleDefinition {
  when: string;
  zone?: string;
  kind: string;
  args?: unknown;
  queue?: string;
  class?: Class;
  expires?: string;
  timeout?: string;
  max_attempts?: number;
  tags?: Record<string, string>;
  start?: string;
  end?: string;
  jitter?: string;
  misfire?: MisfirePolicy | MisfireRules;
  overlap?: Open<"allow" | "skip" | "queue" | "cancel">;
  exclude?: string[];
  description?: string;
}

/** What the clocks of a schedule's zone do on that day. */
export interface ClockChange {
  at: string;
  by: string;
}

/** An instant to come. */
export interface Upcoming {
  due: string;
  /** The same, with the offset of the schedule's zone. */
  local: string;
  planned: string;
  clock_change?: ClockChange;
}

/** What became of an occurrence, or of several that were left out together. */
export interface Occurrence {
  due: string;
  planned: string;
  cause: Open<"clock" | "catch-up" | "queued" | "run-now" | "backfill">;
  fate: Open<"fired" | "skipped" | "waiting">;
  task?: string;
  state?: State;
  why?: Open<"missed" | "overlap" | "refused">;
  count?: number;
  at: string;
  lateness_ms?: number;
  revision: number;
  by?: string;
}

/** Why a schedule cannot be read. */
export interface ScheduleProblem {
  field: string;
  why: string;
}

/** A schedule. */
export interface Schedule {
  name: string;
  definition: ScheduleDefinition;
  words: string | null;
  problems?: ScheduleProblem[];
  source: Source;
  revision: number;
  created_at: string;
  changed_at: string;
  paused: Pause | null;
  next: Upcoming | null;
  last: Occurrence | null;
  warnings?: string[];
  /** After `create`: whether it was there already and says the same. */
  repeated?: boolean;
  /** After `resume`: whether it was paused. */
  was_paused?: boolean;
}

/** A page of schedules, by name; `next` is the cursor of the page after it. */
export interface SchedulePage {
  schedules: Schedule[];
  next: string | null;
}

/** What comes next of a schedule. */
export interface UpcomingList {
  name: string;
  zone: string;
  next: Upcoming[];
}

/** The last occurrences of a schedule. */
export interface OccurrenceList {
  name: string;
  occurrences: Occurrence[];
}

/** A schedule that was deleted. */
export interface DeletedSchedule {
  name: string;
  deleted: boolean;
}

/** A task that was put in beside the timetable. */
export interface PutIn {
  id: string;
  due?: string;
  repeated?: boolean;
}

/** Tasks of a range; where `rest` is there, ask again from it with the same key. */
export interface Backfilled {
  key: string;
  tasks: PutIn[];
  rest: string | null;
}

/** How many occurrences lie in a range. */
export interface Extent {
  count: number;
  complete: boolean;
  first: string | null;
  last: string | null;
}

/** The timetable file of a beat. */
export interface TimetableFile {
  path: string;
  fingerprint: string;
}

/** A beat. */
export interface Beat {
  owner: string;
  host: string;
  pid: number;
  version: string;
  started_at: string;
  at: string;
  leads: boolean;
  epoch: number | null;
  schedules: number;
  file: TimetableFile | null;
}

/** Beats, as an answer holds them. */
export interface BeatList {
  beats: Beat[];
}
