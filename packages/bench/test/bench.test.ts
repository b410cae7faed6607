import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProcess } from "@penstock/testing";
import { afterAll, expect, test } from "vitest";
import type { Results } from "../src/report.ts";

const folder = mkdtempSync(join(tmpdir(), "penstock-bench-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a small benchmark of real programs writes figures and runs whose books balance", async () => {
  const json = join(folder, "results.json");
  const groups = ["intake", "outbound"].flatMap((name) => ["--only", name]);
  const variants = ["limit", "penstock-postgres", "undici", "penstock-outbound"].flatMap((name) => ["--variant", name]);
  const args = [...groups, ...variants, "--rounds", "1"];
  const bench = startProcess({
    file: join(import.meta.dirname, "../src/main.ts"),
    args: [...args, "--seconds", "0.1", "--json", json],
  });
  const { code } = await bench.exited;
  expect({ code, stderr: bench.stderr }).toEqual({ code: 0, stderr: [] });

  const results = JSON.parse(readFileSync(json, "utf8")) as Results & {
    intake: Record<string, number>;
    outbound: Record<string, number>;
  };
  expect(results.intake["ratioToLimitPostgresOnly"]).toBeGreaterThan(0);
  expect(results.machine["postgres"]).toContain("fsync=on");
  expect(results.outbound["ratioToUndici"]).toBeGreaterThan(0);
  expect(results.outbound["latencyP99Ms"]).toBeGreaterThan(0);
  const [limit, penstock, undici, deliveries, light] = results.runs;
  expect(undici).toMatchObject({ variant: "undici", problems: [], cpuUsPerEvent: { sender: expect.any(Number) } });
  for (const run of [deliveries, light]) {
    expect(run).toMatchObject({ variant: "penstock-outbound", problems: [] });
    expect([run?.books.ledger, run?.books.effects]).toEqual([run?.books.sent, run?.books.sent]);
  }
  expect(limit).toMatchObject({ variant: "limit", problems: [], books: { stored: null } });
  expect(limit?.books.acknowledged).toBe(limit?.books.sent);
  expect(penstock?.books.stored).toBe(penstock?.books.acknowledged);
  expect(penstock?.cpuUsPerEvent).toMatchObject({ ingest: expect.any(Number), postgres: expect.any(Number) });
});
