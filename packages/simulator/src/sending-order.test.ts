import { expect, test } from "vitest";
import { sendingOrder } from "./sending-order.ts";

test("in order, duplicates follow their original", () => {
  expect([...sendingOrder({ count: 3, copies: 2, shuffle: false, seed: 7 })]).toEqual([0, 0, 1, 1, 2, 2]);
});

test("shuffled, every event is still there as often as it should, in another order, duplicates among the rest", () => {
  const inOrder = sendingOrder({ count: 1_000, copies: 3, shuffle: false, seed: 7 });
  const shuffled = sendingOrder({ count: 1_000, copies: 3, shuffle: true, seed: 7 });
  expect(shuffled).not.toEqual(inOrder);
  expect(shuffled.toSorted()).toEqual(inOrder);
  const besideTheirCopy = shuffled.filter((event, position) => event === shuffled[position + 1]);
  expect(besideTheirCopy.length).toBeLessThan(100);
});
