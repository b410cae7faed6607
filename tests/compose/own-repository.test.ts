import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packAll } from "../../tools/pack.ts";
import { type Composed, createComposed } from "./composed.ts";

const repository = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "penstock-own-"));

let system: Composed;
beforeAll(async () => {
  const filter = (path: string): boolean => !/(?:node_modules|vendor|\.penstock)$/.test(path);
  cpSync(join(repository, "examples/own-repository"), folder, { recursive: true, filter });
  await packAll(join(folder, "vendor"));
  system = await createComposed({
    cwd: folder,
    files: [join(repository, "docker-compose.yml"), "compose.override.yaml"],
  });
  await system.compose("build");
});

afterAll(async () => {
  await system.compose("--profile", "*", "down", "--volumes", "--timeout", "5");
  rmSync(folder, { recursive: true, force: true });
});

test("a repository of a user's own comes up from its image, and an event takes effect in its handler's table", async () => {
  await system.compose("up", "--detach", "--wait");
  for (const service of ["ingest", "worker", "console"]) {
    const [container] = await system.containers(service);
    expect(container?.State.Health?.Status).toBe("healthy");
    expect(container?.HostConfig.ReadonlyRootfs).toBe(true);
  }
  const sent = await system.compose("run", "--rm", "-T", "cli", "send", "message.received");
  expect(sent).toMatch(/^200 accepted {2}evt_\w+ .*tickets succeeded$/m);
  expect(await system.query("SELECT json_agg(first_message) FROM tickets.tickets")).toEqual([
    "Hello, I need help with my order",
  ]);
});
