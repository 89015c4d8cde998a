// Workers: listed, and asked to be quiet, to resume, to stop or to resize.

import type { AskedWorkers, Worker, WorkerList } from "./fleet.ts";
import type { Call, Transport } from "./transport.ts";

/**
 * What can be asked of workers; `client.workers`.
 *
 * A worker is called by its `owner`, by a beginning of it that no other has, by `host:pid`, or
 * `all`. A signal is taken within about a second; what is asked of workers resolves to the owners
 * of those that it was left for.
 */
export class Workers {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Returns all living workers. */
  async list(): Promise<Worker[]> {
    return (await this.#transport.send<WorkerList>({ method: "GET", path: "/v1/workers" })).workers;
  }

  /** Returns one worker; all of them are in `list`. */
  async get(worker: string): Promise<Worker> {
    if (worker === "all") throw new TypeError("all are many: ask for the list");
    return this.#transport.send({ method: "GET", path: "/v1/workers/{worker}", names: { worker } });
  }

  /** Has them take nothing new. */
  quiet(worker: string): Promise<string[]> {
    return this.#ask({ method: "POST", path: "/v1/workers/{worker}/quiet", names: { worker } });
  }

  /** Has them take tasks again. */
  resume(worker: string): Promise<string[]> {
    return this.#ask({ method: "POST", path: "/v1/workers/{worker}/resume", names: { worker } });
  }

  /** Has them drain and end. */
  stop(worker: string): Promise<string[]> {
    return this.#ask({ method: "POST", path: "/v1/workers/{worker}/stop", names: { worker } });
  }

  /** Has them run so many tasks at once. */
  resize(worker: string, slots: number): Promise<string[]> {
    const body = { slots };
    return this.#ask({
      method: "POST",
      path: "/v1/workers/{worker}/resize",
      names: { worker },
      body,
    });
  }

  async #ask(call: Call): Promise<string[]> {
    return (await this.#transport.send<AskedWorkers>(call)).workers;
  }
}
