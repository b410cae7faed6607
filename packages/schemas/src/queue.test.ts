import { expect, test } from "vitest";
import { batchJobSchema } from "./queue.ts";

test("a batch job is a version and numbers of batches", () => {
  expect(batchJobSchema.parse({ v: 1, batches: [1, 2] })).toEqual({ v: 1, batches: [1, 2] });
});

test.each([
  {},
  { batches: [1] },
  { v: 2, batches: [1] },
  { v: 1, batches: [] },
  { v: 1, batches: ["1"] },
  { v: 1 },
  null,
])("%j is no batch job", (job) => {
  expect(batchJobSchema.safeParse(job).success).toBe(false);
});
