import { expect, test } from "vitest";
import { buzzbip } from "./buzzbip.ts";
import { defineSource } from "./define-source.ts";
import { findSource, sources } from "./sources.ts";

test("a source is found by its exact name only", () => {
  expect(findSource("buzzbip")).toBe(buzzbip);
  for (const name of ["BuzzBip", "buzzbip ", "", "constructor", "__proto__"]) expect(findSource(name)).toBeUndefined();
});

test("every source stands under its provider's name", () => {
  for (const [name, source] of sources) expect(source.provider).toBe(name);
});

test("a source cannot be changed after it was defined", () => {
  expect(Object.isFrozen(buzzbip)).toBe(true);
});

test.each(["", "Acme", "a/b", "a b", "-a", "1a", "a".repeat(64)])("%j cannot be a provider's name", (provider) => {
  expect(() => defineSource({ ...buzzbip, provider })).toThrow(TypeError);
});
