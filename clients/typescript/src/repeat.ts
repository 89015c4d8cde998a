// Whether and when to ask again, what can be asked again safely.

import {
  NoAnswerError,
  ProblemError,
  UnavailableError,
  UnconfirmedError,
  UnexpectedAnswerError,
} from "./errors.ts";

const FIRST = 200;
const LONGEST = 10_000;
/** The longest wait that an answer can ask for; one that asks for more is final. */
const MOST_ASKED_FOR = 60_000;
/** The request came too slowly to the gateway, which took nothing of what it says this of. */
const SLOW = "slow-body";
/** The statuses, of a proxy too, after which the same may work later. */
const PASSING = [429, 502, 503, 504];

/** Tells whether the same request may work later. */
export function isPassing(error: unknown): boolean {
  if (error instanceof UnexpectedAnswerError) return PASSING.includes(error.status);
  if (error instanceof ProblemError && error.problemName === SLOW) return true;
  return [NoAnswerError, UnavailableError, UnconfirmedError].some((kind) => error instanceof kind);
}

/** The tries of one request: growing pauses with jitter, and what `Retry-After` asks for. */
export class Tries {
  #left: number;
  #ceiling = FIRST;
  readonly #jitter: () => number;

  constructor(retries: number, jitter: () => number = Math.random) {
    this.#left = retries;
    this.#jitter = jitter;
  }

  /** Whether there is no other try. */
  get isSpent(): boolean {
    return this.#left === 0;
  }

  /** Returns how long to wait before the next try; nothing where this was the last one. */
  pauseAfter(error: unknown): number | undefined {
    const asked = (error as { retryAfter?: number }).retryAfter ?? 0;
    if (!isPassing(error) || this.isSpent || asked > MOST_ASKED_FOR) return undefined;
    this.#left -= 1;
    return asked + this.pause();
  }

  /** Returns the next pause. */
  pause(): number {
    const ceiling = this.#ceiling;
    this.#ceiling = Math.min(ceiling * 2, LONGEST);
    // At least a half, so that a server that comes back is not asked by all at once.
    return ceiling * (0.5 + this.#jitter() / 2);
  }
}

/** Waits for a while, or until somebody aborts it. */
export function sleep(millis: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, millis);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Reads the header `Retry-After`: seconds, or a date; in milliseconds. */
export function retryAfter(header: string | null, now: number = Date.now()): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
