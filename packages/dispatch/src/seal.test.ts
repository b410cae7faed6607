import { createHash } from "node:crypto";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { generateMasterKey, type Keyring, parseMasterKeys } from "./seal.ts";

const [first, second] = [generateMasterKey(), generateMasterKey()];
const keyring = parseMasterKeys(first);
const idOf = (key: string) => createHash("sha256").update(Buffer.from(key, "base64")).digest("hex").slice(0, 8);

function codeOf(opening: () => string): string {
  try {
    return opening();
  } catch (error) {
    expect(String(error)).not.toContain("whsec_");
    return (error as { code: string }).code;
  }
}

test.each(["whsec_secret", "", "héllo 👋", "x".repeat(10_000)])("what is sealed can be opened", (plain) => {
  const sealed = keyring.seal(plain, "endpoint ep_1");
  expect(sealed).toMatch(new RegExp(`^v1\\.${idOf(first)}\\.[A-Za-z0-9_-]+$`));
  expect(keyring.open(sealed, "endpoint ep_1")).toBe(plain);
});

test("the same text is never sealed alike", () => {
  expect(keyring.seal("whsec_secret", "a")).not.toBe(keyring.seal("whsec_secret", "a"));
});

test("a secret cannot stand in for that of another endpoint", () => {
  const sealed = keyring.seal("whsec_secret", "endpoint ep_1");
  expect(codeOf(() => keyring.open(sealed, "endpoint ep_2"))).toBe("TAMPERED");
});

test("another key does not open it, and says which one would", () => {
  const other = parseMasterKeys(second);
  const sealed = keyring.seal("whsec_secret", "a");
  expect(codeOf(() => other.open(sealed, "a"))).toBe("UNKNOWN_KEY");
  expect(() => other.open(sealed, "a")).toThrow(idOf(first));
  // With its id, but not its bytes.
  expect(codeOf(() => other.open(sealed.replace(idOf(first), idOf(second)), "a"))).toBe("TAMPERED");
});

test("every character counts", () => {
  const sealed = keyring.seal("whsec_secret", "a");
  const start = sealed.lastIndexOf(".") + 1;
  for (let at = start; at < sealed.length; at++) {
    const other = sealed[at] === "A" ? "B" : "A";
    const changed = sealed.slice(0, at) + other + sealed.slice(at + 1);
    // The last character of base64url carries bits that are dropped.
    if (Buffer.from(changed.slice(start), "base64url").equals(Buffer.from(sealed.slice(start), "base64url"))) continue;
    expect(codeOf(() => keyring.open(changed, "a"))).toBe("TAMPERED");
  }
});

test.each(["", "v1", "v2.00000000.AAAA", "whsec_secret", `v1.${idOf(first)}.`, `v1.${idOf(first)}.AAAA`])(
  "%j was never sealed",
  (text) => {
    expect(codeOf(() => keyring.open(text, "a"))).toBe("TAMPERED");
  },
);

describe("a master key is rotated", () => {
  const rotating = parseMasterKeys(`${second},${first}`);
  const rotated = parseMasterKeys(second);

  test("the new one seals, both open, and what was sealed anew needs the new one alone", () => {
    const sealed = keyring.seal("whsec_secret", "a");
    expect(rotating.keyId).toBe(idOf(second));
    expect(rotating.open(sealed, "a")).toBe("whsec_secret");
    const again = rotating.seal(rotating.open(sealed, "a"), "a");
    expect(rotated.open(again, "a")).toBe("whsec_secret");
    expect(codeOf(() => rotated.open(sealed, "a"))).toBe("UNKNOWN_KEY");
  });
});

test("spaces around keys do no harm", () => {
  expect(parseMasterKeys(` ${first} ,\n${second}\n`).keyId).toBe(idOf(first));
});

test.each([
  ["nothing", "", /^It must be 32 bytes/],
  ["too short", Buffer.alloc(16, 1).toString("base64"), /^It must be 32 bytes/],
  ["too long", Buffer.alloc(33, 1).toString("base64"), /^It must be 32 bytes/],
  ["hex", Buffer.alloc(32, 1).toString("hex"), /^It must be 32 bytes/],
  ["a second one that is cut", `${generateMasterKey()},${generateMasterKey().slice(0, 40)}`, /^Key 2 of 2 must be/],
  ["a comma at the end", `${generateMasterKey()},`, /^Key 2 of 2 must be/],
  ["one key twice", `${first},${first}`, /given twice/],
])("keys that are %s are refused without being quoted", (_, text, message) => {
  let thrown: unknown;
  try {
    parseMasterKeys(text);
  } catch (error) {
    thrown = error;
  }
  expect((thrown as Error).message).toMatch(message);
  for (const key of text.split(",").filter(Boolean)) expect(String(thrown)).not.toContain(key.slice(0, 8));
});

test("a keyring that is printed shows no key", () => {
  const shown = (ring: Keyring) => inspect(ring, { depth: 9, showHidden: true }) + JSON.stringify(ring);
  expect(shown(keyring)).not.toContain(first.slice(0, 8));
  expect(shown(keyring)).not.toContain(Buffer.from(first, "base64").toString("hex").slice(0, 4));
});
