import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "@penstock/testing/servers";
import { expect, test } from "vitest";
import { type Mutation, MUTATIONS, replaceText } from "./mutations.ts";
import { KINDS } from "./schedule.ts";

test.each(Object.entries<Mutation>(MUTATIONS))("what %s replaces stands in the code", (_, { replacements, faults }) => {
  for (const replacement of replacements) {
    const source = readFileSync(join(ROOT, replacement.file), "utf8");
    expect(replaceText(source, replacement)).not.toBe(source);
  }
  expect(Object.keys(KINDS)).toEqual(expect.arrayContaining([...faults]));
});

test("a text that is not there, or is there twice, is not replaced", () => {
  const replacement = { file: "a.ts", text: "lock()", by: "" };
  expect(() => replaceText("no such thing", replacement)).toThrow("a.ts does not hold exactly once");
  expect(() => replaceText("lock(); lock();", replacement)).toThrow("a.ts does not hold exactly once");
  expect(replaceText("lock(); go();", replacement)).toBe("; go();");
});
