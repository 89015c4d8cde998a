// Dead letters: listed, counted, replayed and discarded, one at a time or by filter.

import { isProblem, NoAnswerError, ofProblem, UnexpectedAnswerError } from "./errors.ts";
import type {
  DeadLetter,
  DeadLetterGroups,
  DeadLetterPage,
  GoneDeadLetter,
  MatchingDeadLetters,
  Walked,
  WalkLine,
} from "./letters.ts";
import type { Class } from "./models.ts";
import { type Call, type Transport, WALK } from "./transport.ts";

export interface ReplayOptions {
  queue?: string;
  class?: Class;
  /** With other args an edited copy is enqueued instead. */
  args?: unknown;
  /** Also a letter whose task went on without it and ended. */
  force?: boolean;
}

/** Which letters a verb is about: those that match a filter, or all of them. */
export type Which = { filter: string } | { all: true };

export interface WalkOptions {
  /** At most so many. */
  limit?: number;
  /** At most so many a second. */
  rate?: number;
  onProgress?: (line: WalkLine) => void;
}

/**
 * What can be asked of dead letters; `client.dead`.
 *
 * Filters are text, `reason:handler kind:email.* age>1h`; a list without one has every letter.
 */
export class DeadLetters {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Returns a page, newest first; the page after it is at the cursor `next`. */
  page(query: { filter?: string; limit?: number; cursor?: string } = {}): Promise<DeadLetterPage> {
    return this.#transport.send({ method: "GET", path: "/v1/dead", query });
  }

  /** Yields letters, newest first, asking for page after page. */
  async *list(filter?: string): AsyncGenerator<DeadLetter> {
    let cursor: string | null = null;
    do {
      const at = cursor === null ? {} : { cursor };
      const page: DeadLetterPage = await this.page({
        ...(filter === undefined ? {} : { filter }),
        limit: 200,
        ...at,
      });
      yield* page.letters;
      cursor = page.next;
    } while (cursor !== null);
  }

  /** Counts letters by `kind`, `queue`, `reason` or `error-class`. */
  groups(
    query: { by?: "kind" | "queue" | "reason" | "error-class"; filter?: string } = {},
  ): Promise<DeadLetterGroups> {
    return this.#transport.send({ method: "GET", path: "/v1/dead/groups", query });
  }

  /** Returns a letter; `full` looks for it in its queue and has its args whole. */
  get(id: string, { full }: { full?: boolean } = {}): Promise<DeadLetter> {
    const query = { full };
    return this.#transport.send({
      method: "GET",
      path: "/v1/dead/{id}",
      names: { id },
      query,
      longer: WALK,
    });
  }

  /** Has a dead task begin anew; with `args` an edited copy is enqueued instead. */
  replay(id: string, options: ReplayOptions = {}): Promise<GoneDeadLetter> {
    return this.#transport.send({
      method: "POST",
      path: "/v1/dead/{id}/replay",
      names: { id },
      body: options,
      longer: WALK,
    });
  }

  /** Discards a letter: nothing brings it back. */
  discard(id: string): Promise<GoneDeadLetter> {
    return this.#transport.send({
      method: "POST",
      path: "/v1/dead/{id}/discard",
      names: { id },
      longer: WALK,
    });
  }

  /** Counts what a verb over many would be about, and shows up to five. */
  matching(which: Which): Promise<MatchingDeadLetters> {
    const body = { ...which, dry_run: true };
    return this.#transport.send({ method: "POST", path: "/v1/dead/replay", body });
  }

  /**
   * Replays all letters that match; resolves to what was done.
   *
   * It ends early where somebody else walks a queue, or the broker goes away: the error's `totals`
   * has what was done until then. What was done stays done; begin again for the rest.
   */
  replayMatching(
    which: Which,
    { onProgress, ...orders }: WalkOptions & { queue?: string; class?: Class } = {},
  ): Promise<Walked> {
    const body = { ...which, ...orders };
    return this.#walk({ method: "POST", path: "/v1/dead/replay", body }, onProgress);
  }

  /** Discards all letters that match; told and ended as `replayMatching`. */
  discardMatching(which: Which, { onProgress, ...orders }: WalkOptions = {}): Promise<Walked> {
    const body = { ...which, ...orders };
    return this.#walk({ method: "POST", path: "/v1/dead/discard", body }, onProgress);
  }

  async #walk(call: Call, onProgress?: (line: WalkLine) => void): Promise<Walked> {
    for await (const document of this.#transport.lines(call)) {
      const line = document as WalkLine;
      if (line.finished && line.totals) return line.totals;
      if (line.error && line.queue === undefined) {
        if (!isProblem(line.error)) {
          const what = `the walk ended with what no gateway says: ${JSON.stringify(line.error)}`;
          throw new UnexpectedAnswerError(what, 200);
        }
        const failed = ofProblem(line.error);
        failed.totals = line.totals;
        throw failed;
      }
      onProgress?.(line);
    }
    throw new NoAnswerError("the answer broke off; what was done stays done");
  }
}
