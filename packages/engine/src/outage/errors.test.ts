import { expect, test } from "vitest";
import { placeOf } from "./errors.ts";

test("the place of an error is its innermost frame in a handler", () => {
  const error = new TypeError("no length");
  error.stack = `TypeError: no length
    at parse (node:internal/url:816:10)
    at Client.query (/srv/node_modules/pg/lib/client.js:1:2)
    at measure (file:///srv/handlers/orders.ts:14:9)
    at async handle (/srv/handlers/orders.ts:20:5)`;
  expect(placeOf(error)).toBe("/srv/handlers/orders.ts:14:9");
  error.stack = "TypeError: no length\n    at async file:///srv/handlers/orders.ts:20:5";
  expect(placeOf(error)).toBe("/srv/handlers/orders.ts:20:5");
  expect(placeOf("text")).toBeUndefined();
});
