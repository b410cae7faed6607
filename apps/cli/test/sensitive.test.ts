import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createStore } from "@penstock/store";
import { eventually, openSink, type Sink } from "@penstock/testing";
import { beforeAll, expect, test } from "vitest";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

const fixture = (file: string): string => fileURLToPath(new URL(`fixtures/sensitive/${file}`, import.meta.url));
const FROM = "+39 333 765 4321";
const BODY = "my secret order";
const SENSITIVE = /765 4321|secret order/;

let penstock: Penstock;
let sink: Sink;
const through: Record<string, Record<string, string>> = {};
beforeAll(async () => {
  penstock = await createPenstock({
    PENSTOCK_SOURCES: fixture("penstock.sources.ts"),
    PENSTOCK_CONFIG: fixture("penstock.config.ts"),
    OUTBOUND_ALLOW: "127.0.0.0/8",
    LOG_LEVEL: "info",
  });
  await penstock.start();
  sink = await openSink();
  sink.answer = (response, { body }) => void response.writeHead(400).end(`I do not take ${String(body)}`);
  const { consoleUrl } = JSON.parse(await readFile(join(penstock.home, "run.json"), "utf8")) as { consoleUrl: string };
  for (const args of [["viewer"], ["reader", "--payloads"]]) {
    const { stdout } = await penstock.call(["console", "token", ...args]);
    through[args[0] ?? ""] = { PENSTOCK_URL: consoleUrl, PENSTOCK_TOKEN: stdout[0] ?? "" };
  }
  await penstock.call(["endpoints", "add", sink.url, "--types", "message.received", "--retry", "1h"]);
  const data = JSON.stringify({ from: FROM, body: BODY, contactId: "cnt_ada" });
  await penstock.call(["send", "message.received", "--id", "evt_ada", "--data", data]);
  await eventually(async () => {
    const { stdout } = await penstock.call(["deliveries", "show", "evt_ada", "--json"]);
    const states = parseLines(stdout).map(({ state }) => String(state));
    if (states.filter((state) => state === "dead").length < 2 || !states.includes("retrying")) {
      throw new Error(`not all has failed yet: ${states.join(", ")}`);
    }
  });
  return async () => {
    await sink.close();
    await penstock.remove();
  };
});

const REVEAL = "Sensitive fields are masked: `events show --reveal` shows them, which is on record.";

test("sensitive fields are masked where an event is shown, and revealed on record to who may see payloads", async () => {
  const show = async (env: Record<string, string> = {}, ...args: string[]) => {
    const { stdout, stderr } = await penstock.call(["events", "show", "evt_ada", "--json", ...args], env);
    return { data: (JSON.parse(String(parseLines(stdout)[0]?.["body"])) as { data: object }).data, stderr };
  };
  for (const env of [{}, through["reader"]]) {
    expect(await show(env)).toEqual({
      data: expect.objectContaining({ from: "•••", body: "•••", contactId: "cnt_ada" }) as object,
      stderr: [REVEAL],
    });
    expect(await show(env, "--reveal")).toEqual({
      data: expect.objectContaining({ from: FROM, body: BODY }) as object,
      stderr: [],
    });
  }
  // Who may not see payloads sees no value, asked for or not.
  expect(await show(through["viewer"], "--reveal")).toEqual({
    data: expect.objectContaining({ from: "•••", contactId: "•••" }) as object,
    stderr: ["Values of bodies are masked: this token may not see payloads."],
  });
  const { stdout } = await penstock.call(["audit", "list", "--action", "events.read-body", "--json"]);
  const revealed = parseLines(stdout).filter(({ detail }) => (detail as { revealed?: boolean }).revealed);
  expect(revealed.map(({ actor, target }) => [actor, target])).toEqual([
    ["token:reader", "buzzbip/evt_ada"],
    ["cli:tester@test", "buzzbip/evt_ada"],
  ]);

  const shown = await penstock.call(["events", "show", "evt_ada"]);
  expect(shown.stdout.join("\n")).toMatch(/no customer with the number ••• wrote •••/);
  const listened = await penstock.call(["listen", "--print", "--event", "evt_ada"]);
  expect(listened.stdout.join("\n")).toContain("cnt_ada");
  for (const outcome of [shown, listened]) expect(outcome.stdout.join("\n")).not.toMatch(SENSITIVE);
});

test("what handlers and endpoints say of an event holds no sensitive value: neither on record, nor in issues and logs", async () => {
  await eventually(
    async () => {
      const { stdout } = await penstock.call(["issues", "list", "--json"]);
      const titles = parseLines(stdout).map(({ title }) => title);
      expect(titles).toEqual(expect.arrayContaining([expect.stringContaining("wrote •••")]));
    },
    { timeoutMs: 30_000 },
  );
  await penstock.call(["replay", "dry-run", "evt_ada", "--handler", "chatty"]);
  const store = createStore({
    connectionString: (await penstock.call(["db", "url"])).stdout[0] ?? "",
    applicationName: "test",
    maxConnections: 1,
  });
  const said = await store.pool.query<{ text: string }>(`
    SELECT error_message AS text FROM penstock.attempts
    UNION ALL SELECT title FROM penstock.issues
    UNION ALL SELECT last_error FROM penstock.endpoints
    UNION ALL SELECT report::text FROM penstock.dry_runs`);
  await store.close();
  const texts = said.rows.map(({ text }) => text ?? "").join("\n");
  expect(texts).toContain("I do not take");
  expect(texts).not.toMatch(SENSITIVE);
  const logs: string[] = [];
  for (const file of await readdir(join(penstock.home, "logs"))) {
    logs.push(await readFile(join(penstock.home, "logs", file), "utf8"));
  }
  expect(logs.join("\n")).toContain("a message from •••: •••");
  expect(logs.join("\n")).toContain('"customer":{"from":"•••","contact":"cnt_ada"}');
  expect(logs.join("\n")).toContain('"said":["•••"]');
  expect(logs.join("\n")).not.toMatch(SENSITIVE);
});
