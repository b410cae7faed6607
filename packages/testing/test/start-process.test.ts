import { freePort, startProcess } from "@penstock/testing";
import { expect, test, vi } from "vitest";

const file = new URL("./fixtures/echo-server.ts", import.meta.url);

test("a process runs from source and its lines and its port can be waited for", async () => {
  const port = await freePort();
  const started = startProcess({ file, env: { PORT: String(port) } });
  await started.waitForPort(port);
  const [, printed] = await started.waitForLine(/listening on (\d+)/);
  expect(printed).toBe(String(port));
  expect(started.stderr).toEqual(["secret is undefined"]);
  started.kill("SIGTERM");
  expect(await started.exited).toEqual({ code: 3, signal: null });
  expect(started.stdout.at(-1)).toBe("asked to end");
});

test("a process that ends is not waited for any longer, and its output is shown", async () => {
  const port = await freePort();
  const started = startProcess({ file, env: { PORT: String(port) }, name: "echo" });
  await started.waitForLine(/listening/);
  const waiting = Promise.allSettled([started.waitForLine(/never printed/, 60_000), started.waitForPort(1, 60_000)]);
  started.kill("SIGTERM");
  for (const result of await waiting) {
    expect(String((result as PromiseRejectedResult).reason)).toMatch(/echo ended with 3[^]*asked to end/);
  }
});

test("a line that does not come ends the wait when the time is over", async () => {
  const started = startProcess({ file, env: { PORT: String(await freePort()) }, name: "echo" });
  await expect(started.waitForLine(/never printed/, 300)).rejects.toThrow("within 300 ms");
});

test("what a test runner's environment holds does not reach the process", async () => {
  vi.stubEnv("TEST_SECRET", "from outside");
  const started = startProcess({ file, env: { PORT: String(await freePort()) } });
  vi.unstubAllEnvs();
  await started.waitForLine(/secret is undefined/);
});
