import { expect, test } from "vitest";
import { batchJobSchema, deliveryJobSchema } from "./queue.ts";

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

const delivery = { v: 1, day: "2026-02-28", seq: 7, subscriber: "notify", interrupted: false };

test("a delivery job is a version and the key of a delivery", () => {
  expect(deliveryJobSchema.parse(delivery)).toEqual(delivery);
});

test.each([{ v: 2 }, { day: "2026-02-31" }, { seq: "7" }, { seq: 0 }, { subscriber: undefined }])(
  "one with %j is no delivery job",
  (wrong) => {
    expect(deliveryJobSchema.safeParse({ ...delivery, ...wrong }).success).toBe(false);
  },
);
