// What the gateway answers about dead letters.

import type { State } from "./models.ts";
import type { Problem } from "./problem.ts";

/** A dead letter. */
export interface DeadLetter {
  id: string;
  queue: string;
  kind: string;
  origin: string;
  replay: number;
  attempt: number;
  reason?: string;
  error_class: string;
  error: string;
  died_at: string;
  first_failed_at?: string;
  key?: string;
  origin_id?: string;
  tags?: Record<string, string>;
  /** JSON where `args_whole`, else the beginning as text. */
  args: unknown;
  args_size: number;
  args_whole: boolean;
}

/** A page of dead letters, newest first; `next` is the cursor of the page after it. */
export interface DeadLetterPage {
  letters: DeadLetter[];
  next: string | null;
  scanned: number;
}

/** Dead letters that have something in common. */
export interface DeadLetterGroup {
  value: string;
  count: number;
  oldest: string;
  newest: string;
  example: string;
}

/** How many letters a queue holds, and how many of them are listed. */
export interface DeadLetterCount {
  queue: string;
  depth: number;
  listed: number;
}

/** Dead letters counted, the largest group first. */
export interface DeadLetterGroups {
  groups: DeadLetterGroup[];
  total: number;
  complete: boolean;
  queues: DeadLetterCount[];
}

/** What became of one dead letter: replayed, replaced by an edited copy, or discarded. */
export interface GoneDeadLetter {
  id: string;
  replay?: number;
  replaces?: string;
  state?: State;
}

/** How many dead letters match, with up to five of them. */
export interface MatchingDeadLetters {
  matching: number;
  examples: DeadLetter[];
  complete: boolean;
}

/** How far a walk over dead letters is. */
export interface Walked {
  total: number;
  taken: number;
  kept: number;
  hidden: number;
  replayed: number;
  discarded: number;
  replaced: number;
  returned: number;
  superseded: number;
  failed: number;
}

/** What a walk says on its way, and at its end. */
export interface WalkLine {
  queue?: string;
  walked?: Walked;
  error?: Problem;
  finished?: boolean;
  totals?: Walked;
}
