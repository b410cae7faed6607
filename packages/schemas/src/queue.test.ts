import { expect, test } from "vitest";
import { batchJobSchema } from "./queue.ts";

const batchId = "6f1f64a5-6d6c-4a1e-9d53-0d6d3c5f6f55";

test("a batch job is a version and the id of a batch", () => {
  expect(batchJobSchema.parse({ v: 1, batchId })).toEqual({ v: 1, batchId });
});

test.each([{}, { batchId }, { v: 2, batchId }, { v: 1, batchId: "42" }, { v: 1 }, null])(
  "%j is no batch job",
  (job) => {
    expect(batchJobSchema.safeParse(job).success).toBe(false);
  },
);
