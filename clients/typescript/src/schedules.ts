// Schedules: made, changed, paused, run now, foretold.

import type {
  Backfilled,
  Beat,
  BeatList,
  ScheduleDefinition,
  DeletedSchedule,
  Extent,
  UpcomingList,
  Occurrence,
  OccurrenceList,
  PutIn,
  Schedule,
  SchedulePage,
} from "./timetable.ts";
import type { Call, Transport } from "./transport.ts";
import { type Instant, instant, uuid7 } from "./values.ts";

/** Which schedules a list has. */
export interface Wish {
  source?: "file" | "code" | "api";
  paused?: boolean;
  /** A kind, or several with `*` and commas. */
  kind?: string;
  /** How the name begins. */
  name?: string;
}

export interface Range {
  from: Instant;
  /** Now, where it is left out. */
  to?: Instant;
}

/** What can be asked of schedules; `client.schedules`. */
export class Schedules {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Returns a page, by name; the page after it is at the cursor `next`. */
  page(query: Wish & { limit?: number; cursor?: string } = {}): Promise<SchedulePage> {
    return this.#transport.send({ method: "GET", path: "/v1/schedules", query: { ...query } });
  }

  /** Yields schedules by name, asking for page after page. */
  async *list(wish: Wish = {}): AsyncGenerator<Schedule> {
    let cursor: string | null = null;
    do {
      const at = cursor === null ? {} : { cursor };
      const page: SchedulePage = await this.page({ ...wish, limit: 200, ...at });
      yield* page.schedules;
      cursor = page.next;
    } while (cursor !== null);
  }

  /** Returns a schedule. */
  get(name: string): Promise<Schedule> {
    return this.#transport.send({ method: "GET", path: "/v1/schedules/{name}", names: { name } });
  }

  /** Makes a schedule. One that says the same is `repeated`, another one is a conflict. */
  create(name: string, definition: ScheduleDefinition): Promise<Schedule> {
    const body = { name, ...definition };
    return this.#transport.send({ method: "POST", path: "/v1/schedules", body });
  }

  /** Says all of it anew; with `revision`, only if it is still at that. */
  replace(
    name: string,
    definition: ScheduleDefinition,
    { revision }: { revision?: number } = {},
  ): Promise<Schedule> {
    return this.#transport.send({
      method: "PUT",
      path: "/v1/schedules/{name}",
      names: { name },
      query: { revision },
      body: definition,
    });
  }

  /** Deletes it; tasks that were put in stay. */
  async delete(name: string, { revision }: { revision?: number } = {}): Promise<void> {
    await this.#transport.send<DeletedSchedule>({
      method: "DELETE",
      path: "/v1/schedules/{name}",
      names: { name },
      query: { revision },
    });
  }

  /** Pauses it, wherever it comes from; the first pause stays. */
  pause(name: string, { why }: { why?: string } = {}): Promise<Schedule> {
    const body = { why };
    return this.#transport.send({
      method: "POST",
      path: "/v1/schedules/{name}/pause",
      names: { name },
      body,
    });
  }

  /** Resumes it; `was_paused` says whether it was paused. */
  resume(name: string): Promise<Schedule> {
    return this.#transport.send({
      method: "POST",
      path: "/v1/schedules/{name}/resume",
      names: { name },
    });
  }

  /**
   * Puts one task in now, beside the timetable. Without `key` it gets one here, so that a request
   * whose answer was lost is repeated.
   */
  run(name: string, { key = uuid7() }: { key?: string } = {}): Promise<PutIn> {
    return this.#transport.send({
      method: "POST",
      path: "/v1/schedules/{name}/run",
      names: { name },
      headers: { "idempotency-key": key },
      repeatable: true,
    });
  }

  /**
   * Puts in the tasks of all occurrences of a range, at most 1,000. Where `rest` is there, ask again
   * with it as `from` and with the answer's `key`.
   */
  backfill(
    name: string,
    range: Range,
    { key = uuid7() }: { key?: string } = {},
  ): Promise<Backfilled> {
    return this.#transport.send({
      method: "POST",
      path: "/v1/schedules/{name}/backfill",
      names: { name },
      body: written(range),
      headers: { "idempotency-key": key },
      repeatable: true,
    });
  }

  /** Counts the occurrences of a range, as `backfill` would put them in. */
  extent(name: string, range: Range): Promise<Extent> {
    const body = { ...written(range), dry_run: true };
    return this.#transport.send({
      method: "POST",
      path: "/v1/schedules/{name}/backfill",
      names: { name },
      body,
    });
  }

  /** Returns what is due next, whether or not it is paused. */
  next(name: string, { n, from }: { n?: number; from?: Instant } = {}): Promise<UpcomingList> {
    const query = { n, from: from === undefined ? undefined : instant(from) };
    return this.#transport.send({
      method: "GET",
      path: "/v1/schedules/{name}/next",
      names: { name },
      query,
    });
  }

  /** Returns the last 20 occurrences, newest first. */
  async occurrences(name: string): Promise<Occurrence[]> {
    const call: Call = { method: "GET", path: "/v1/schedules/{name}/occurrences", names: { name } };
    return (await this.#transport.send<OccurrenceList>(call)).occurrences;
  }

  /** Returns the beats, the one that leads first. */
  async beats(): Promise<Beat[]> {
    return (await this.#transport.send<BeatList>({ method: "GET", path: "/v1/beats" })).beats;
  }
}

function written({ from, to }: Range): { from: string; to?: string } {
  return { from: instant(from), ...(to === undefined ? {} : { to: instant(to) }) };
}
