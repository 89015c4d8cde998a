// The client and the gateway's own description of itself say the same.
//
// The description is asked of the gateway that `LEVERET_GATEWAY_URL` names; `clients/agreement.json`
// says what is left out, and which interfaces stand for which parts of it. Runs in the client's folder.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { before, describe, test } from "node:test";

import { settle } from "../src/settings.ts";

type Schema = Record<string, unknown> & {
  $ref?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  allOf?: Schema[];
  oneOf?: Schema[];
  anyOf?: Schema[];
};
type Operation = { operationId: string };

interface Description {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

/** The members of an interface, and whether they can be left out. */
type Members = Map<string, boolean>;

const skip = process.env["LEVERET_GATEWAY_URL"] ? false : "LEVERET_GATEWAY_URL names no gateway";
const AGREEMENT = JSON.parse(readFileSync("../agreement.json", "utf8")) as {
  left_out: Record<string, string>;
  models: Record<string, string[]>;
};
const SOURCE = readdirSync("src")
  .map((file) => readFileSync(`src/${file}`, "utf8"))
  .join("\n");
/** Interfaces that are of this client alone. */
const OWN = new Set([
  "Call",
  "ClientOptions",
  "LineResult",
  "Range",
  "ReplayOptions",
  "Settings",
  "TaskOptions",
  "VerifyOptions",
  "WaitOptions",
  "WalkOptions",
  "Wish",
]);

/** Reads the interfaces of the source, with what they extend. */
function interfaces(): Map<string, Members> {
  const found = new Map<string, Members>();
  const heads = /^export interface (\w+)(?:<[^{]*>)?(?: extends (\w+))? \{\n(.*?)^\}/gms;
  for (const [, name, base, body] of SOURCE.matchAll(heads)) {
    const members: Members = new Map(base ? found.get(base) : []);
    for (const [, member, open] of body!.matchAll(/^  (?:readonly )?(\w+)(\??):/gm)) {
      members.set(member!, open === "?");
    }
    found.set(name!, members);
  }
  return found;
}

/** The operations that the source names. */
function called(): Set<string> {
  const calls = SOURCE.matchAll(/method: "([A-Z]+)",\s+path: "([^"]+)"/g);
  return new Set([...calls].map(([, method, path]) => `${method} ${path}`));
}

describe("agreement", { skip }, () => {
  let schemas: Description["components"]["schemas"];
  let operations: Map<string, string>;

  before(async () => {
    const { url, headers } = settle({});
    const answer = await fetch(`${url}/v1/openapi.json`, { headers });
    assert.ok(answer.ok, `the description was answered ${answer.status}`);
    const description = (await answer.json()) as Description;
    schemas = description.components.schemas;
    const paths = Object.entries(description.paths).filter(([path]) => path.startsWith("/v1/"));
    const all = paths.flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, operation]) => operation.operationId)
        .map(
          ([method, { operationId }]) => [`${method.toUpperCase()} ${path}`, operationId] as const,
        ),
    );
    operations = new Map(all);
  });

  const named = ({ $ref = "" }: Schema) => schemas[$ref.slice($ref.lastIndexOf("/") + 1)];

  /** The objects that a schema is put together of. */
  function variants(schema: Schema): Schema[] {
    const target = named(schema);
    if (target) return variants(target);
    const parts = [schema.allOf, schema.oneOf, schema.anyOf].flatMap((some) => some ?? []);
    return [schema, ...parts.flatMap(variants)];
  }

  /** What is always there. */
  function required(schema: Schema): Set<string> {
    const target = named(schema);
    if (target) return required(target);
    const sure = (schema.allOf ?? []).flatMap((one) => [...required(one)]);
    const [first, ...others] = (schema.oneOf ?? []).map(required);
    const shared = [...(first ?? [])].filter((name) => others.every((other) => other.has(name)));
    return new Set([...(schema.required ?? []), ...sure, ...shared]);
  }

  const parts = (name: string) => AGREEMENT.models[name] ?? [name];

  test("each operation is covered, or left out by name", () => {
    const unknown = [...called()].filter((one) => !operations.has(one));
    assert.deepEqual(unknown, []);
    const covered = [...called()].map((one) => operations.get(one)!);
    const both = [...covered, ...Object.keys(AGREEMENT.left_out)];
    assert.deepEqual(both.sort(), [...operations.values()].sort());
  });

  test("each interface has the members that are described", () => {
    assert.ok(interfaces().size > 40);
    for (const [name, members] of interfaces()) {
      if (OWN.has(name)) continue;
      const described = parts(name).flatMap((part) => {
        assert.ok(schemas[part], `nothing is described as ${part}`);
        return variants(schemas[part]).flatMap(({ properties }) => Object.keys(properties ?? {}));
      });
      assert.deepEqual([...members.keys()].sort(), [...new Set(described)].sort(), name);
    }
  });

  test("what an interface promises is always there", () => {
    for (const [name, members] of interfaces()) {
      if (OWN.has(name)) continue;
      const promised = [...members].filter(([, open]) => !open).map(([member]) => member);
      for (const part of parts(name)) {
        const sure = required(schemas[part]!);
        assert.deepEqual(
          promised.filter((member) => !sure.has(member)),
          [],
          `${name} is ${part}`,
        );
      }
    }
  });
});
