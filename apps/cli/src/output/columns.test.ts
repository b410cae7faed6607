import { expect, test } from "vitest";
import { formatColumns, truncate } from "./columns.ts";

test("columns are as wide as their widest cell, in characters as people count them", () => {
  const rows = [
    ["NAME", "STATE"],
    ["é👩‍👧", "ok"],
    ["longer", ""],
  ];
  expect(formatColumns(rows)).toBe("NAME    STATE\né👩‍👧      ok\nlonger");
});

test("shortened text ends in an ellipsis and never in half a character", () => {
  expect(truncate("abcdef", 6)).toBe("abcdef");
  expect(truncate("abcdefg", 6)).toBe("abcde…");
  expect(truncate("ab👩‍👧cd", 4)).toBe("ab👩‍👧…");
});
