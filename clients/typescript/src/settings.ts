// Where the gateway is and what to say to it. The environment is read here alone.

import { type Duration, millis } from "./values.ts";

export const URL_NAME = "LEVERET_GATEWAY_URL";
const TOKEN_NAME = "LEVERET_GATEWAY_TOKEN";
const USUAL_URL = "http://127.0.0.1:7878";
export const VERSION = "0.1.0";

/** What sends a request; the global `fetch` is one. */
export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

export interface ClientOptions {
  /** Where the gateway is: else `LEVERET_GATEWAY_URL`, else `http://127.0.0.1:7878`. */
  url?: string | undefined;
  /** The token, where the gateway wants one: else `LEVERET_GATEWAY_TOKEN`. */
  token?: string | undefined;
  /** Who asks, `ann@box`: it is written down with what people do to tasks. */
  by?: string | undefined;
  /** How long an answer may take; `30s`. */
  timeout?: Duration;
  /** How often a request is repeated that repeating cannot do twice; 4. */
  retries?: number;
  /** What sends requests, for proxies and certificates of one's own. */
  fetch?: Fetch;
}

/** What a client was told. */
export interface Settings {
  url: string;
  headers: Record<string, string>;
  timeout: number;
  retries: number;
  fetch: Fetch;
}

type Environment = { process?: { env?: Record<string, string | undefined> } };

/** Takes from the environment what was not given, as the `leveret` commands do. */
export function settle(options: ClientOptions): Settings {
  const environment = (globalThis as Environment).process?.env ?? {};
  const url = options.url || environment[URL_NAME] || USUAL_URL;
  const token = options.token || environment[TOKEN_NAME];
  const found = URL.canParse(url) ? new URL(url) : undefined;
  if (!found || !["http:", "https:"].includes(found.protocol)) {
    throw new TypeError(`${url} is no URL of a gateway: write http://HOST:PORT (${URL_NAME})`);
  }
  if (found.username || found.password || found.search || found.hash) {
    throw new TypeError("the URL of a gateway has no user, no query and no fragment");
  }
  for (const [name, text] of Object.entries({ by: options.by, token })) {
    if (text !== undefined && !/^[ -~]*$/.test(text)) {
      throw new TypeError(`${name} has to be visible ASCII characters`);
    }
  }
  const retries = options.retries ?? 4;
  if (!Number.isInteger(retries) || retries < 0) {
    throw new TypeError(`retries cannot be ${retries}: write 0 to repeat nothing`);
  }
  const headers: Record<string, string> = { "user-agent": `leveret-typescript/${VERSION}` };
  if (token) headers["authorization"] = `Bearer ${token}`;
  if (options.by) headers["leveret-by"] = options.by;
  const timeout = millis(options.timeout ?? "30s");
  const send = options.fetch ?? ((url, init) => fetch(url, init));
  return { url: url.replace(/\/+$/, ""), headers, timeout, retries, fetch: send };
}
