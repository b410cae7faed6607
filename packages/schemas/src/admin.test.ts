import { expect, test } from "vitest";
import { adminOperations } from "./admin.ts";

const add = adminOperations["endpoints.add"].input;
const update = adminOperations["endpoints.update"].input;

// What is answered is held against what the command line prints, in apps/cli/test/endpoints.test.ts.
test("an endpoint is added by its URL alone, and changed in what is named", () => {
  expect(add.parse({ url: "https://example.com/hook" })).toEqual({ url: "https://example.com/hook" });
  expect(update.parse({ id: "ep_1", lane: null })).toEqual({ id: "ep_1", lane: null });
});

test.each([
  [add, { types: ["message.received"] }, "url"],
  [add, { url: "https://example.com", types: [] }, "types"],
  [add, { url: "https://example.com", secret: "whsec_" }, undefined],
  [update, { id: "ep_1", headerName: "Host" }, "headerName"],
  [update, { lane: "data.contactId" }, "id"],
])("what is wrong with a request is told by its field (%#)", (schema, request, field) => {
  expect(schema.safeParse(request).error?.issues.map(({ path }) => path[0])).toEqual([field]);
});
