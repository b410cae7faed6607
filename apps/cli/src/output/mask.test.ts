import { expect, test } from "vitest";
import { maskSecret } from "./mask.ts";

test.each([
  ["0123456789abcdef0123456789abcdef", "0123…cdef"],
  ["0123456789abcdef", "0123…cdef"],
  ["0123456789abcde", "••••••••"],
  ["short", "••••••••"],
])("%s is shown as %s", (secret, shown) => {
  expect(maskSecret(secret)).toBe(shown);
});
