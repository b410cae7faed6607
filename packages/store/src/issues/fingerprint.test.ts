import { describe, expect, test } from "vitest";
import { normaliseMessage } from "@penstock/schemas";
import { deadLetterFingerprint } from "./fingerprint.ts";

describe("a message", () => {
  test.each([
    ["contact cnt_5c21 not found", "contact <id> not found"],
    ["order 1234567 of 2026-06-01T12:00:00Z", "order <n> of <n>T<n>Z"],
    ["no row for 0f8fad5b-d9cb-469f-a165-70867728950e", "no row for <id>"],
    ['Unexpected token "x" in JSON', "Unexpected token … in JSON"],
    ["getaddrinfo ENOTFOUND api.example.com", "getaddrinfo ENOTFOUND api.example.com"],
    ["cannot write to ada@example.com", "cannot write to <address>"],
    ["GET https://example.com/a?b=1 failed", "GET <url> failed"],
    ["hash 9f86d081884c7d65 differs", "hash <id> differs"],
    ["Cannot read properties of undefined (reading 'name')", "Cannot read properties of undefined (reading …)"],
    ["first line\nsecond line", "first line"],
    ["added a decade", "added a decade"],
    ["can't find 'ada' where it isn't", "can't find … where it isn't"],
    ["no contact 'o'hara' here", "no contact … here"],
    [`Unexpected token 'W', "{"text": Where i"... is not valid JSON`, "Unexpected token …, … is not valid JSON"],
    [`Unexpected token 'W', ..."ext": Where is"... is not valid JSON`, "Unexpected token …, … is not valid JSON"],
    [`cannot take "{"text":"Where is it?"}" at all`, "cannot take … at all"],
    [`cannot take [{ text: 'Where is`, "cannot take …"],
    ['cannot take "Where is\nit?"', "cannot take …"],
  ])("%j is %j, whatever stands in it", (message, normal) => {
    expect(normaliseMessage(message)).toBe(normal);
  });

  test("that is long or hostile is read in linear time", () => {
    const startedAt = performance.now();
    for (const text of [
      "a_".repeat(50_000),
      "'".repeat(100_000),
      "a-".repeat(50_000),
      "1.".repeat(50_000),
      '["'.repeat(50_000),
      " 'a".repeat(50_000),
      "a@".repeat(50_000),
    ]) {
      expect(normaliseMessage(text).length).toBeLessThanOrEqual(200);
    }
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });
});

describe("dead letters", () => {
  const dead = { subscriber: "inbox", errorClass: "TypeError", errorMessage: "no name", place: "/srv/a/index.ts:1:2" };
  const fingerprintOf = (of: Partial<typeof dead>) => deadLetterFingerprint({ ...dead, ...of }).fingerprint;

  test("are the same issue wherever the handler is installed, and whatever stands above its line", () => {
    expect(fingerprintOf({ place: "/app/handlers/inbox/src/index.ts:7:1" })).toBe(
      fingerprintOf({ place: "/home/ada/penstock/handlers/inbox/src/index.ts:90:14" }),
    );
  });

  test("are another issue with another handler, class, file or message", () => {
    const all = [
      {},
      { subscriber: "other" },
      { errorClass: "RangeError" },
      { place: "/srv/a/other.ts:1:2" },
      { errorMessage: "no id" },
    ];
    expect(new Set(all.map(fingerprintOf)).size).toBe(all.length);
  });
});
