// Queues: listed, paused and resumed.

import type { PausedQueue, Queue, QueueList } from "./fleet.ts";
import type { Transport } from "./transport.ts";

/** What can be asked of queues; `client.queues`. */
export class Queues {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Returns all queues that are known. */
  async list(): Promise<Queue[]> {
    return (await this.#transport.send<QueueList>({ method: "GET", path: "/v1/queues" })).queues;
  }

  /** Returns a queue with a lane for each class. */
  get(queue: string): Promise<Queue> {
    return this.#transport.send({ method: "GET", path: "/v1/queues/{queue}", names: { queue } });
  }

  /** Pauses a queue for the whole fleet; what runs goes on. The first pause stays. */
  pause(queue: string, { why }: { why?: string } = {}): Promise<PausedQueue> {
    return this.#transport.send({
      method: "POST",
      path: "/v1/queues/{queue}/pause",
      names: { queue },
      body: { why },
    });
  }

  /** Resumes a queue; the answer says whether it was paused. */
  resume(queue: string): Promise<PausedQueue> {
    return this.#transport.send({
      method: "POST",
      path: "/v1/queues/{queue}/resume",
      names: { queue },
    });
  }
}
