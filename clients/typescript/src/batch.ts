// Many tasks at once: which lines are sent, what their answers mean, which are sent again.
//
// Sends nothing. Each line has an id or a key, so that a request whose answer was lost, or a line
// that could not be confirmed, is sent again and is one task all the same.

import {
  isProblem,
  LeveretError,
  NoAnswerError,
  ofProblem,
  TooLargeError,
  UnexpectedAnswerError,
} from "./errors.ts";
import type { Accepted } from "./models.ts";
import { documentOf, type LineResult, type NewTask, named } from "./newTask.ts";
import { isPassing } from "./repeat.ts";
import type { Call } from "./transport.ts";
import { json } from "./values.ts";

/** About how many characters are sent in one request. */
const MOST_CHARACTERS = 4 << 20;

/** Tasks of one request, until each has its result. */
export class Batch {
  readonly #first: number;
  readonly #lines: string[] = [];
  readonly #results: LineResult[] = [];
  #waiting: number[] = [];
  #characters = 0;
  /** Why lines have to be sent again after a pause. */
  passing: LeveretError | undefined;

  constructor(first: number) {
    this.#first = first;
  }

  get size(): number {
    return this.#lines.length;
  }

  /** The index of the first task after it. */
  get end(): number {
    return this.#first + this.size;
  }

  /** Whether each task has its result. */
  get isDone(): boolean {
    return this.#waiting.length === 0;
  }

  /** Takes one more task. */
  add(task: NewTask): void {
    const line = json(documentOf(named(task)));
    this.#waiting.push(this.size);
    this.#lines.push(line);
    this.#characters += line.length;
  }

  /** Tells whether it should be sent before more is taken. */
  isFull(most: number): boolean {
    return this.size >= most || this.#characters >= MOST_CHARACTERS;
  }

  /** Returns the request with what waits. */
  call(): Call {
    const lines = this.#waiting.map((place) => `${this.#lines[place]}\n`).join("");
    const headers = { accept: "application/x-ndjson" };
    return { method: "POST", path: "/v1/tasks", lines, headers, repeatable: true };
  }

  /**
   * Takes the answers, which come in order; `isLast` ends what may pass with its error.
   *
   * Where there are fewer answers than lines, the gateway read no further: it takes fewer at once.
   * The rest goes into the next request, as does a last line that was too large there.
   */
  take(answers: unknown[], isLast: boolean): void {
    const sent = this.#waiting;
    this.#waiting = [];
    this.passing = undefined;
    for (const [number, answer] of answers.slice(0, sent.length).entries()) {
      const place = sent[number]!;
      const result = this.#result(place, answer);
      const { error } = result;
      const isCut = error instanceof TooLargeError && number > 0 && number === answers.length - 1;
      if (isCut) {
        this.#waiting.push(place);
      } else if (error !== undefined && isPassing(error) && !isLast) {
        this.passing = error;
        this.#waiting.push(place);
      } else {
        this.#results[place] = result;
      }
    }
    if (answers.length === 0) this.passing = new NoAnswerError("no line of a batch was answered");
    this.#waiting.push(...sent.slice(answers.length));
  }

  /** Returns the results that there are, in order. */
  results(): LineResult[] {
    return this.#results.filter((result) => result !== undefined);
  }

  #result(place: number, answer: unknown): LineResult {
    const index = this.#first + place;
    const { error, id } = answer as { error?: unknown; id?: unknown };
    if (isProblem(error)) return { index, error: ofProblem(error) };
    if (typeof id === "string") return { index, accepted: answer as Accepted };
    const what = `task ${index} was answered with what no gateway says: ${JSON.stringify(answer)}`;
    return { index, error: new UnexpectedAnswerError(what, 200) };
  }
}
