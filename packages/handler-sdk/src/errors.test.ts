import { expect, test } from "vitest";
import { HandlerDefinitionError, PermanentError, RetryAfterError } from "./errors.ts";

test.each([
  [new PermanentError("gone"), { name: "PermanentError", code: "PERMANENT", message: "gone" }],
  [
    new RetryAfterError(1_500),
    { name: "RetryAfterError", code: "RETRY_AFTER", retryAfterMs: 1_500, message: "try again in 1500 ms" },
  ],
  [new HandlerDefinitionError("no"), { name: "HandlerDefinitionError", code: "HANDLER_DEFINITION", message: "no" }],
])("%s is told apart by its code", (error, fields) => {
  expect(error).toMatchObject(fields);
});

test("an error can name its cause", () => {
  const cause = new Error("429");
  expect(new RetryAfterError(1, "later", { cause })).toMatchObject({ message: "later", cause });
  expect(new PermanentError("gone", { cause })).toMatchObject({ cause });
});
