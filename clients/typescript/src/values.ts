// Values as the gateway takes them: durations, instants, names in a path, ids.

/** Text with a unit: `250ms`, `30s`, `1h30m`, `7d`. */
export type Duration = string;

/** A date, or RFC 3339 text with an offset. */
export type Instant = Date | string;

const UNITS: Record<string, number> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 1e-3,
  ns: 1e-6,
};

/** Reads how many milliseconds a duration has. */
export function millis(duration: Duration): number {
  if (typeof duration !== "string" || !/^(?:\d+(?:d|h|ms|us|ns|m|s))+$/.test(duration)) {
    throw new TypeError(`${duration} is no duration: write a number and a unit, such as "30s"`);
  }
  const parts = duration.matchAll(/(\d+)([a-z]+)/g);
  return [...parts].reduce((sum, [, number, unit]) => sum + Number(number) * UNITS[unit ?? ""]!, 0);
}

/** Writes an instant. */
export function instant(value: Instant): string {
  return typeof value === "string" ? value : value.toISOString();
}

/** Writes JSON; what JSON would silently make `null` is a mistake. */
export function json(value: unknown): string {
  return JSON.stringify(value, (name, member: unknown) => {
    if (typeof member === "number" && !Number.isFinite(member)) {
      throw new TypeError(`${name || "a value"} is ${member}, which JSON does not have`);
    }
    return member;
  });
}

/** Writes a name as one part of a path. */
export function part(name: string): string {
  if (name === "" || name === "." || name === "..") {
    throw new TypeError(`${JSON.stringify(name)} cannot be a name or an id`);
  }
  return encodeURIComponent(name);
}

/** Returns a UUID of version 7, which begins with the time (RFC 9562). */
export function uuid7(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  const now = Date.now();
  view.setUint32(0, Math.floor(now / 0x1_0000));
  view.setUint16(4, now % 0x1_0000);
  view.setUint8(6, 0x70 | (view.getUint8(6) & 0x0f));
  view.setUint8(8, 0x80 | (view.getUint8(8) & 0x3f));
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
