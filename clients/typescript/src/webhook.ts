// The receiver's side of `http` kinds: whether a request is one's own Leveret's, and of today.

import { type Duration, millis } from "./values.ts";

export const HEADER = "x-leveret-signature";

/** The request is not to be believed. Answer 401, and look at nothing of it. */
export class SignatureError extends Error {
  override readonly name = "SignatureError";
}

export interface VerifyOptions {
  /** How far the time of the signature may lie from now; `5m`. */
  tolerance?: Duration;
  now?: Date;
}

/**
 * Resolves if the header `signature` signs `body` by one of the secrets, and in time; else it
 * rejects with a `SignatureError`.
 *
 * `body` is what was received, byte by byte, before anything read it. Give two secrets while one
 * takes the other's place.
 */
export async function verify(
  body: Uint8Array | string,
  signature: string | null | undefined,
  secrets: string | string[],
  { tolerance = "5m", now = new Date() }: VerifyOptions = {},
): Promise<void> {
  const known = typeof secrets === "string" ? [secrets] : secrets;
  if (known.length === 0 || known.some((secret) => !secret)) {
    throw new TypeError("a secret is missing or empty: everybody could sign with that");
  }
  if (!signature) throw new SignatureError("the request is not signed");
  const pairs = signature.split(",").map((part) => part.trim().split("=", 2));
  const sent = pairs.find(([name]) => name === "t")?.[1] ?? "";
  if (!/^\d{1,15}$/.test(sent)) throw new SignatureError("the signature has no time");
  // Not `>`: a `now` that is no date is in no time.
  if (!(Math.abs(now.getTime() - Number(sent) * 1_000) <= millis(tolerance))) {
    throw new SignatureError("it was not signed in time: it is a replay, or a clock is wrong");
  }
  const message = signed(sent, body);
  const found = pairs.filter(([name]) => name === "v1").map(([, value]) => bytes(value ?? ""));
  for (const secret of known) {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const raw = new TextEncoder().encode(secret);
    const key = await crypto.subtle.importKey("raw", raw, algorithm, false, ["verify"]);
    for (const value of found) {
      // Compares in constant time.
      if (value && (await crypto.subtle.verify("HMAC", key, value, message))) return;
    }
  }
  throw new SignatureError("the signature is of another secret or of another body");
}

function signed(sent: string, body: Uint8Array | string): Uint8Array<ArrayBuffer> {
  const head = new TextEncoder().encode(`${sent}.`);
  const tail = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const message = new Uint8Array(head.length + tail.length);
  message.set(head);
  message.set(tail, head.length);
  return message;
}

function bytes(digits: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[0-9a-f]{64}$/i.test(digits)) return undefined;
  return Uint8Array.from(digits.match(/../g)!, (pair) => Number.parseInt(pair, 16));
}
