import { expect, test } from "vitest";
import { createGate } from "./gate.ts";

/** Work that goes on until it is told to end, and says when it begins and ends. */
function tracked() {
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  const work = (name: string) => async () => {
    log.push(`${name} begins`);
    await new Promise<void>((resolve) => ends.set(name, resolve));
    log.push(`${name} ends`);
  };
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  const end = async (name: string) => {
    ends.get(name)?.();
    await settled();
  };
  return { log, work, end, settled };
}

test("shared work runs side by side, and exclusive work waits for all of it", async () => {
  const { log, work, end, settled } = tracked();
  const gate = createGate();
  const all = [gate.shared(work("a")), gate.shared(work("b")), gate.exclusive(work("c"))];
  await settled();
  expect(log).toEqual(["a begins", "b begins"]);
  await end("a");
  expect(log).not.toContain("c begins");
  await end("b");
  expect(log.at(-1)).toBe("c begins");
  await end("c");
  await Promise.all(all);
});

test("work that arrives while exclusive work runs or waits is queued, and neither kind starves the other", async () => {
  const { log, work, end, settled } = tracked();
  const gate = createGate();
  const all = [
    gate.shared(work("a")),
    gate.exclusive(work("b")),
    gate.shared(work("c")),
    gate.exclusive(work("d")),
    gate.shared(work("e")),
  ];
  await settled();
  for (const name of ["a", "b", "c", "d", "e"]) await end(name);
  expect(log.filter((line) => line.endsWith("begins"))).toEqual(["a", "b", "c", "d", "e"].map((n) => `${n} begins`));
  await Promise.all(all);
});

test("work that throws lets the next one in", async () => {
  const gate = createGate();
  const failed = [gate.exclusive, gate.shared].map((pass) => pass(() => Promise.reject(new Error("boom"))));
  for (const one of failed) await expect(one).rejects.toThrow("boom");
  expect(await gate.exclusive(() => Promise.resolve("in"))).toBe("in");
});
