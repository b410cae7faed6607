import { expect, test } from "vitest";
import { batchJobSchema, deliveryJobSchema } from "./queue.ts";

const batches = [7, 8];

test("a batch job is a version and the numbers of batches", () => {
  expect(batchJobSchema.parse({ v: 1, batches })).toEqual({ v: 1, batches });
});

test.each([
  {},
  { batches },
  { v: 2, batches },
  { v: 1, batches: [] },
  { v: 1, batches: ["7"] },
  { v: 1, batches: 7 },
  null,
])("%j is no batch job", (job) => {
  expect(batchJobSchema.safeParse(job).success).toBe(false);
});

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
