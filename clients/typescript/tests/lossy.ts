// A proxy that loses answers: it breaks the connection instead of handing the first one on.

import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Lossy {
  url: string;
  lost(): number;
  close(): void;
}

/** Hands requests on, and breaks the connection once the first answer has come as far as `mark`. */
export async function lossy(upstream: string, mark = "HTTP/1.1 "): Promise<Lossy> {
  const { hostname, port } = new URL(upstream);
  let lost = 0;
  const open: Socket[] = [];
  const server = createServer((client) => {
    const behind = connect(Number(port), hostname);
    open.push(client, behind);
    client.on("data", (data) => behind.write(data));
    let held = "";
    behind.on("data", (data) => {
      if (lost > 0) return void client.write(data);
      held += data.toString("latin1");
      if (!held.includes(mark)) return;
      // The request went through: what it asked for is done.
      lost += 1;
      client.destroy();
      behind.destroy();
    });
    for (const [one, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // What a client keeps open would keep the test from its end.
  const close = () => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, lost: () => lost, close };
}
