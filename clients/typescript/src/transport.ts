// Sends requests, repeats what can be repeated, and reads lines as they come.

import {
  isProblem,
  LeveretError,
  NoAnswerError,
  ofProblem,
  UnexpectedAnswerError,
} from "./errors.ts";
import { retryAfter, sleep, Tries } from "./repeat.ts";
import { type Settings, URL_NAME } from "./settings.ts";
import { json, part } from "./values.ts";

const NDJSON = "application/x-ndjson";
/** How long an answer of lines may be silent, in milliseconds. */
const SILENCE = 180_000;
/** How much longer a request may take that walks a queue of dead letters, in milliseconds. */
export const WALK = 60_000;
/** Most of a foreign answer that is shown. */
const SHOWN = 200;

/** A request. */
export interface Call {
  method: "GET" | "POST" | "PUT" | "DELETE";
  path: `/v1/${string}`;
  names?: Record<string, string>;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  lines?: string;
  headers?: Record<string, string>;
  /** Members that the answer has as text; without them nobody of ours gave it. */
  texts?: readonly string[];
  /** How many milliseconds more than usual the answer may take. */
  longer?: number;
  /** Whether asking twice does it once; a GET always does. */
  repeatable?: boolean;
  /** The id under which an enqueue can be repeated. */
  id?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** Speaks to one gateway. */
export class Transport {
  readonly settings: Settings;

  constructor(settings: Settings) {
    this.settings = settings;
  }

  /** Begins to count the tries of a request. */
  tries(isRepeatable = true): Tries {
    return new Tries(isRepeatable ? this.settings.retries : 0);
  }

  /** Sends a request until it is answered or the tries are over. */
  async send<Answer>(call: Call): Promise<Answer> {
    const tries = this.tries(call.repeatable || call.method === "GET");
    for (;;) {
      try {
        return await this.once<Answer>(call);
      } catch (error) {
        const pause = tries.pauseAfter(error);
        if (pause === undefined) throw error;
        await sleep(pause, call.signal);
      }
    }
  }

  /** Sends a request once. */
  async once<Answer>(call: Call): Promise<Answer> {
    const silence = new Silence(this.settings.timeout + (call.longer ?? 0), call.signal);
    try {
      const response = await this.#ask(call, silence);
      const text = await this.#heard(call, silence, response.text());
      return parse(call, text) as Answer;
    } finally {
      silence.end();
    }
  }

  /** Sends a request once, and yields the lines of its answer. */
  async *lines(call: Call): AsyncGenerator<unknown> {
    const silence = new Silence(Math.max(this.settings.timeout, SILENCE), call.signal);
    try {
      const response = await this.#ask(call, silence);
      const reader = response.body!.getReader();
      const decoder = new TextDecoder();
      let rest = "";
      for (;;) {
        silence.begin();
        const { done, value } = await this.#heard(call, silence, reader.read());
        if (done) break;
        const whole = (rest + decoder.decode(value, { stream: true })).split("\n");
        rest = whole.pop()!;
        for (const line of whole) if (line.trim()) yield parse(call, line);
      }
      if (rest.trim()) throw new NoAnswerError(`the answer to ${told(call)} broke off in a line`);
    } finally {
      // Whoever reads no further ends it for the gateway too.
      silence.end(true);
    }
  }

  async #ask(call: Call, silence: Silence): Promise<Response> {
    const target = new URL(this.settings.url + pathOf(call));
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) target.searchParams.set(name, String(value));
    }
    const body = call.lines ?? (call.body === undefined ? undefined : json(call.body));
    const media = call.lines === undefined ? "application/json" : NDJSON;
    const typed = body === undefined ? {} : { "content-type": media };
    const init: RequestInit = {
      method: call.method,
      headers: { ...this.settings.headers, ...typed, ...call.headers },
      redirect: "manual",
      signal: silence.signal,
    };
    if (body !== undefined) init.body = body;
    silence.begin();
    const response = await this.#heard(call, silence, this.settings.fetch(target, init));
    if (response.ok) return response;
    const text = await this.#heard(call, silence, response.text());
    throw refusal(call, response, text);
  }

  /** Waits for a part of an answer, and says what it means where none comes. */
  async #heard<Part>(call: Call, silence: Silence, coming: Promise<Part>): Promise<Part> {
    try {
      return await coming;
    } catch (error) {
      call.signal?.throwIfAborted();
      const why = silence.isOver ? "it took too long" : reason(error);
      const what = `no answer from ${this.settings.url} to ${told(call)}: ${why}${mend(error)}`;
      const again = `; it may be accepted, and is one task if it is repeated with id ${call.id}`;
      throw new NoAnswerError(what + (call.id ? again : ""), call.id, error);
    }
  }
}

/** Aborts a request that is silent for too long, or that its caller aborts. */
class Silence {
  readonly #controller = new AbortController();
  readonly #longest: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  isOver = false;
  readonly signal: AbortSignal;

  constructor(longest: number, outer?: AbortSignal) {
    this.#longest = longest;
    const own = this.#controller.signal;
    this.signal = outer ? AbortSignal.any([own, outer]) : own;
  }

  begin(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.isOver = true;
      this.#controller.abort();
    }, this.#longest);
  }

  end(abort = false): void {
    clearTimeout(this.#timer);
    if (abort) this.#controller.abort();
  }
}

function pathOf(call: Call): string {
  return call.path.replace(/\{(\w+)\}/g, (_, name: string) => part(call.names?.[name] ?? ""));
}

function told(call: Call): string {
  return `${call.method} ${pathOf(call)}`;
}

function reason(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string } };
  return cause?.message || message || String(error);
}

/** Says what to do where nobody listens; Node tells that by a code. */
function mend(error: unknown): string {
  const { cause } = error as { cause?: { code?: string } };
  const advice = `; start a gateway there, or say where it is (${URL_NAME})`;
  return cause?.code === "ECONNREFUSED" ? advice : "";
}

function parse(call: Call, text: string): unknown {
  try {
    const document: unknown = JSON.parse(text);
    if (typeof document === "object" && document !== null) {
      const members = document as Record<string, unknown>;
      if ((call.texts ?? []).every((name) => typeof members[name] === "string")) return document;
    }
  } catch {
    // Told below.
  }
  throw alien(call, 200, text);
}

function refusal(call: Call, response: Response, text: string): LeveretError {
  const wait = retryAfter(response.headers.get("retry-after"));
  try {
    const document: unknown = JSON.parse(text);
    if (isProblem(document)) return ofProblem(document, wait);
  } catch {
    // Told below.
  }
  return alien(call, response.status, text, wait);
}

function alien(call: Call, status: number, text: string, wait?: number): UnexpectedAnswerError {
  const shown = JSON.stringify(text.slice(0, SHOWN));
  const what = `${told(call)} was answered ${status} with what no gateway says: ${shown}`;
  return new UnexpectedAnswerError(what, status, wait);
}
