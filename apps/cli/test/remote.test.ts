import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually, freePort, openSink, type Sink } from "@penstock/testing";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createPenstock, type Outcome, parseLines, type Penstock } from "./penstock.ts";

let penstock: Penstock;
let sink: Sink;
let consoleUrl: string;
const tokens = new Map<string, string>();

beforeAll(async () => {
  penstock = await createPenstock({
    PENSTOCK_CONFIG: fileURLToPath(new URL("fixtures/lanes.config.ts", import.meta.url)),
  });
  await penstock.start();
  ({ consoleUrl } = JSON.parse(await readFile(join(penstock.home, "run.json"), "utf8")) as { consoleUrl: string });
  for (const args of [["viewer"], ["admin", "--role", "admin", "--payloads", "--days", "1"]]) {
    const { stdout } = await penstock.call(["console", "token", ...args]);
    tokens.set(args[0] ?? "", stdout[0] ?? "");
  }
  sink = await openSink();
  return async () => {
    await sink.close();
    await penstock.remove();
  };
});

/** The two ways to run a command: on the database, and through the console. */
const WAYS = ["directly", "remotely"] as const;
type Way = (typeof WAYS)[number];

const through = (token = "admin"): Record<string, string> => ({
  PENSTOCK_URL: consoleUrl,
  PENSTOCK_TOKEN: tokens.get(token) ?? "",
});

const run = (way: Way, ...args: string[]): Promise<Outcome> => penstock.call(args, way === "remotely" ? through() : {});

/** What differs between two runs of one command: times, ages, what is made at random, and who did it. */
const settled = (text: string): string =>
  text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)/g, "<time>")
    .replaceAll(/\b[\d.]+ (?:ms|s|min|h|d)\b/g, "<age>")
    .replaceAll(/\bep_[0-9a-f]{16}\b/g, "<endpoint>")
    .replaceAll(/whsec_[\w+/=]+/g, "<secret>")
    .replaceAll(/(added |removed |"fingerprint":")[0-9a-f]{8}\b/g, "$1<fingerprint>")
    .replaceAll(/\b(?:seq[ :]|of event )\d+/g, "<seq>")
    .replaceAll(/cli:tester@test|token:admin/g, "<actor>")
    .replaceAll(/ {2,}/g, "  ");

function toComparable({ code, stdout, stderr }: Outcome): object {
  const lines = stdout.map((line) => (line.startsWith("{") ? (JSON.parse(settled(line)) as object) : settled(line)));
  return { code, stdout: lines, stderr: stderr.map(settled) };
}

/** Runs a command that changes nothing both ways. */
async function readBoth(...args: string[]): Promise<Outcome> {
  const onDatabase = await run("directly", ...args);
  const throughConsole = await run("remotely", ...args);
  expect(toComparable(throughConsole)).toEqual(toComparable(onDatabase));
  return onDatabase;
}

/** Does the same both ways, each with subjects of its own, and compares all that was printed. */
async function doBoth(
  script: (way: Way, say: (...args: string[]) => Promise<Outcome>) => Promise<void>,
): Promise<void> {
  const printed: object[][] = [];
  for (const way of WAYS) {
    const outcomes: object[] = [];
    await script(way, async (...args) => {
      const outcome = await run(way, ...args);
      const of = (text: string): string => text.replaceAll(way, "<way>");
      outcomes.push(toComparable({ ...outcome, stdout: outcome.stdout.map(of), stderr: outcome.stderr.map(of) }));
      return outcome;
    });
    printed.push(outcomes);
  }
  expect(printed[1]).toEqual(printed[0]);
}

async function send(id: string, body: string, contactId: string): Promise<void> {
  const data = JSON.stringify({ body, contactId });
  // Ingest may not have yet the secret that another test has just added.
  await eventually(async () => {
    expect((await penstock.call(["send", "message.received", "--id", id, "--data", data])).code).toBe(0);
  });
}

async function stateOf(event: string): Promise<unknown> {
  const { stdout } = await penstock.call(["deliveries", "show", event, "ordered", "--json"]);
  return parseLines(stdout)[0]?.["state"];
}

/** Its message is dead, and blocks its lane. */
async function sendDead(id: string, contactId = `cnt_${id}`): Promise<void> {
  await send(id, "fail", contactId);
  await eventually(async () => expect(await stateOf(id)).toBe("dead"));
}

async function quarantine(id: string): Promise<void> {
  await penstock.call(["send", "--body-file", await penstock.file(`{"id":"${id}","type":"odd.type","data":{}}`)]);
}

/** Something of everything that is shown. */
async function prepare(): Promise<void> {
  await sendDead("evt_blocked");
  await send("evt_behind", "hello", "cnt_evt_blocked");
  await send("evt_fine", "hello", "cnt_fine");
  await eventually(async () => expect(await stateOf("evt_fine")).toBe("succeeded"));
  await quarantine("evt_odd");
  await penstock.call(["endpoints", "add", sink.url, "--types", "contact.updated", "--tenant", "read"]);
  await eventually(
    async () => expect((await penstock.call(["issues", "list"])).stdout.join()).toContain("blocked-lane"),
    { timeoutMs: 30_000 },
  );
}

describe("what is read is the same on the database and through the console", () => {
  beforeAll(prepare);

  test.each([
    ["events list"],
    ["events list --handler ordered --state dead --since 1h --limit 1"],
    ["events list --status quarantined"],
    ["events list --handler nobody"],
    ["events list data.contactId=cnt_fine"],
    ["events list type:nothing.*"],
    ["events list typ:x"],
    ["events show evt_blocked"],
    ["events show evt_odd"],
    ["events show evt_nobody"],
    ["deliveries list"],
    ["deliveries list --state dead --until 1s"],
    ["deliveries list --handler ep_0000000000000000"],
    ["deliveries show evt_blocked"],
    ["deliveries show evt_behind ordered"],
    ["deliveries show evt_fine nobody"],
    ["quarantine list"],
    ["quarantine list --type nothing"],
    ["handlers list"],
    ["lanes list"],
    ["lanes list --state blocked --handler ordered"],
    ["lanes list --handler nobody"],
    ["endpoints list"],
    ["endpoints list --tenant nobody"],
    ["endpoints show ep_0000000000000000"],
    ["issues list"],
    ["issues list --kind dead-letter --all"],
    ["issues show 1"],
    ["issues show 4711"],
    ["replay status"],
    ["replay status nothing"],
    ["sources activity"],
    ["sources refused"],
    ["sources refused nobody"],
    ["sources secrets list"],
    ["sources secrets list nobody"],
  ])("%s", async (command) => {
    const args = command.split(" ");
    await readBoth(...args);
    if (args.length === 2) await readBoth(...args, "--json");
  });

  test("--json of one thing", async () => {
    for (const args of [
      ["events", "show", "evt_blocked"],
      ["deliveries", "show", "evt_behind"],
      ["issues", "show", "1"],
    ]) {
      const { stdout } = await readBoth(...args, "--json");
      expect(stdout.length).toBeGreaterThan(0);
    }
  });

  test("the audit log, page by page", async () => {
    await penstock.call(["handlers", "pause", "latest"]);
    await penstock.call(["handlers", "resume", "latest"]);
    const { stderr } = await readBoth("audit", "list", "--action", "handlers", "--since", "1h", "--limit", "1");
    await readBoth("audit", "list", ...(/--before \d+/.exec(stderr.join())?.[0].split(" ") ?? []), "--json");
  });

  test("the database, but for what moves", async () => {
    const shown = await Promise.all(WAYS.map((way) => run(way, "db", "show", "--json")));
    const [onDatabase, throughConsole] = shown.map(({ stdout }) => Object.keys(parseLines(stdout)[0] ?? {}));
    expect(throughConsole).toEqual(onDatabase);
  });

  test("an event that nobody has seen is told of as such", async () => {
    await readBoth("deliveries", "retry", "evt_nobody");
    await readBoth("deliveries", "cancel", "evt_fine");
    await readBoth("replay", "create", "evt_blocked", "--handler", "nobody");
    await readBoth("replay", "create", "--handler", "ordered", "--state", "dead");
    await readBoth("handlers", "pause", "nobody");
    await readBoth("lanes", "unblock", "ordered", "cnt_nobody");
    await readBoth("quarantine", "dismiss", "evt_fine");
    await readBoth("issues", "acknowledge", "4711");
  });
});

describe("what is changed is the same on the database and through the console", () => {
  test("deliveries are retried, skipped and cancelled", () =>
    doBoth(async (way, say) => {
      await sendDead(`evt_repaired_${way}`);
      await say("deliveries", "retry", `evt_repaired_${way}`);
      await eventually(async () => expect(await stateOf(`evt_repaired_${way}`)).toBe("dead"));
      await say("deliveries", "skip", `evt_repaired_${way}`, "ordered", "--json");
      await say("deliveries", "cancel", `evt_repaired_${way}`);
      await say("deliveries", "retry", "--subject", `cnt_evt_repaired_${way}`, "--state", "skipped", "--yes");
      await eventually(async () => expect(await stateOf(`evt_repaired_${way}`)).toBe("dead"));
      await say("deliveries", "show", `evt_repaired_${way}`);
    }));

  test("a lane is unblocked, once", () =>
    doBoth(async (way, say) => {
      await sendDead(`evt_lane_${way}`);
      await say("lanes", "unblock", "ordered", `cnt_evt_lane_${way}`);
      await say("lanes", "unblock", "ordered", `cnt_evt_lane_${way}`);
    }));

  test("a handler is paused and goes on, and one that is gone is forgotten", () =>
    doBoth(async (_, say) => {
      await say("handlers", "pause", "latest", "--json");
      await say("handlers", "pause", "latest");
      await say("handlers", "resume", "latest");
      await say("handlers", "resume", "latest");
      await say("handlers", "remove", "nobody", "--yes");
    }));

  test("what is not understood is dismissed, once", () =>
    doBoth(async (way, say) => {
      await quarantine(`evt_odd_${way}`);
      await eventually(async () =>
        expect((await run(way, "quarantine", "list")).stdout.join()).toContain(`odd_${way}`),
      );
      await say("quarantine", "dismiss", `evt_odd_${way}`);
      await say("quarantine", "dismiss", `evt_odd_${way}`);
    }));

  test("a replay is created once for its id, ends, and cannot be cancelled then", () =>
    doBoth(async (way, say) => {
      await send(`evt_again_${way}`, "hello", `cnt_again_${way}`);
      await eventually(async () => expect(await stateOf(`evt_again_${way}`)).toBe("succeeded"));
      const create = ["replay", "create", `evt_again_${way}`, "--id", `again-${way}`, "--since", "1h"];
      await say(...create, "--reason", "why not");
      await say(...create, "--reason", "why not");
      await say(...create, "--rate", "5");
      await eventually(async () => {
        const { stdout } = await run(way, "replay", "status", `again-${way}`, "--json");
        expect(parseLines(stdout)).toMatchObject([{ status: "done", done: 1 }]);
      });
      await say("replay", "status", `again-${way}`);
      await say("replay", "cancel", `again-${way}`);
      await say("replay", "cancel", "nothing");
    }));

  test("an issue is acknowledged, and all of it is run again", () =>
    doBoth(async (way, say) => {
      await sendDead(`evt_issue_${way}`);
      const issue = await eventually(
        async () => {
          const { stdout } = await run(way, "issues", "list", "--kind", "dead-letter", "--json");
          const [found] = parseLines(stdout);
          expect(found?.["left"]).toBeGreaterThan(0);
          return String(found?.["id"]);
        },
        { timeoutMs: 30_000 },
      );
      await say("issues", "acknowledge", issue, "--note", "on it");
      await say("issues", "acknowledge", issue);
      await say("issues", "reopen", issue);
      // What an earlier test has had run again counts as left, and is dead again soon.
      await eventually(async () => {
        expect(await run(way, "issues", "retry", issue, "--yes")).toMatchObject({
          code: 0,
          stdout: [expect.stringMatching(/^replay issue-\d+-[0-9a-f]{8} created$/)],
        });
      });
      const blocked = parseLines((await run(way, "issues", "list", "--kind", "blocked-lane", "--json")).stdout)[0];
      await say("issues", "retry", String(blocked?.["id"]), "--yes");
    }));

  test("an endpoint is added, changed, tried, rotated, recovered and deleted", () =>
    doBoth(async (way, say) => {
      const added = await say("endpoints", "add", sink.url, "--types", "contact.created", "--tenant", way, "--json");
      const id = String(parseLines(added.stdout)[0]?.["id"]);
      const refused = await run(way, "endpoints", "add", "http://10.0.0.1/hook");
      expect({ code: refused.code, stderr: refused.stderr.join() }).toEqual({
        code: 1,
        stderr: expect.stringContaining("10.0.0.1 is a private address") as string,
      });
      await say("endpoints", "add", sink.url, "--types", "no.such.type");
      await say("endpoints", "list", "--tenant", way);
      await say("endpoints", "update", id, "--rate", "5", "--filter", "data.channel=sms");
      await say("endpoints", "update", id, "--rate", "none", "--json");
      await say("endpoints", "update", id, "--header-name", "Host");
      await say("endpoints", "secret", id);
      await say("endpoints", "rotate", id, "--overlap", "1h");
      await say("endpoints", "rotate", id);
      await say("endpoints", "rotate", id, "--overlap", "0", "--yes");
      await say("endpoints", "test", id);
      await say("endpoints", "pause", id);
      await say("endpoints", "show", id);
      await say("endpoints", "resume", id);
      await say("endpoints", "recover", id, "--since", "1h");
      await say("handlers", "pause", id);
      await say("endpoints", "delete", id);
      await say("endpoints", "delete", id, "--yes");
      await say("endpoints", "delete", id, "--yes");
    }));

  test("a secret of a source is added, shown, removed", () =>
    doBoth(async (way, say) => {
      const file = await penstock.file(`whsec_given_${way}`);
      const added = await say("sources", "secrets", "add", "buzzbip", "--from", file, "--json");
      const fingerprint = String(parseLines(added.stdout)[0]?.["fingerprint"]);
      await say("sources", "secrets", "add", "buzzbip", "--generate");
      await say("sources", "secrets", "add", "nobody", "--generate");
      await say("sources", "secrets", "reveal", "buzzbip", fingerprint);
      await say("sources", "secrets", "remove", "buzzbip", fingerprint);
      await say("sources", "secrets", "reveal", "buzzbip", "00000000");
      await say("sources", "secrets", "remove", "buzzbip", "00000000");
    }));
});

test("a person is erased through the console, with the same plan, and endpoints that want to know are told", async () => {
  await send("evt_ada", "hello", "cnt_ada");
  await send("evt_bo", "hello", "cnt_bo");
  for (const id of ["evt_ada", "evt_bo"]) {
    await eventually(async () => expect(await stateOf(id)).toBe("succeeded"));
  }
  // Words of events are written a little later.
  await eventually(async () => {
    const { stdout } = await penstock.call(["erase", "--subject", "cnt_ada"]);
    expect(stdout.join("\n")).toContain("filters of words");
  });
  const plan = await readBoth("erase", "--subject", "cnt_ada");
  expect(plan.stdout.join("\n")).toMatch(/^1 events have it/);
  expect((await penstock.call(["export", "--subject", "cnt_ada"])).stdout).toHaveLength(3);
  const through = ["--url", consoleUrl, "--token", tokens.get("admin") ?? ""];
  const exported = await penstock.call(["export", "--subject", "cnt_ada", ...through]);
  expect(exported).toMatchObject({ code: 1, stdout: [], stderr: [expect.stringMatching(/^`export` works on/)] });

  const added = await run("remotely", "endpoints", "add", sink.url, "--types", "penstock.subject.erased", "--json");
  const endpoint = String(parseLines(added.stdout)[0]?.["id"]);
  const erased = await penstock.call(["erase", "--subject", "cnt_ada", "--yes", "--json", ...through]);
  expect(erased.code).toBe(0);
  expect(parseLines(erased.stdout)).toMatchObject([
    { step: "done", requestedBy: "token:admin", counts: { events: 1 }, handlers: { ordered: { state: "lacks" } } },
  ]);
  await readBoth("erase", "status");
  const told = sink.received.map(({ body }) => JSON.parse(body.toString()) as { type: string; data: unknown });
  expect(told.filter(({ type }) => type === "penstock.subject.erased").map(({ data }) => data)).toEqual([
    { kind: "subject", path: null, value: "cnt_ada" },
  ]);
  expect((await penstock.call(["export", "--subject", "cnt_ada"])).stdout).toHaveLength(2);
  expect((await penstock.call(["export", "--subject", "cnt_bo"])).stdout).toHaveLength(3);
  expect((await run("remotely", "events", "show", "evt_ada")).stdout.join("\n")).toMatch(/^body\n {2}\(erased\)$/m);
  await run("remotely", "endpoints", "delete", endpoint, "--yes");
});

describe("what goes wrong is told in one sentence, with what to do", () => {
  let other: Record<string, string>;
  beforeEach(() => {
    other = { ...through() };
  });

  const failing = async (env: Record<string, string>, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await penstock.call(args, env);
    expect({ code: code === 0, stdout }).toEqual({ code: false, stdout: [] });
    return stderr.join("\n");
  };

  test("nothing listens there", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    expect(await failing({ ...other, PENSTOCK_URL: url }, "events", "list")).toBe(
      `${url} does not answer (ECONNREFUSED): check --url (PENSTOCK_URL), and whether the console runs.`,
    );
  });

  test("a token that nobody knows, none at all, and one in a file", async () => {
    expect(await failing({ ...other, PENSTOCK_TOKEN: "pst_wrong" }, "events", "list")).toMatch(
      /does not take this token, .*: set PENSTOCK_TOKEN to another one; an admin makes them on the page Settings\.$/,
    );
    expect(await failing({ PENSTOCK_URL: consoleUrl }, "events", "list")).toMatch(/^A console asks for a token: set/);
    const file = await penstock.file(`${tokens.get("viewer")}\n`);
    const { code } = await penstock.call(["handlers", "list", "--url", consoleUrl], { PENSTOCK_TOKEN_FILE: file });
    expect(code).toBe(0);
    const given = ["--url", consoleUrl, "--token", tokens.get("viewer") ?? "", "events", "list"];
    expect((await penstock.call(given)).code).toBe(0);
  });

  test("a role that is too low, and payloads that are not for everybody", async () => {
    expect(await failing(through("viewer"), "handlers", "pause", "ordered")).toBe(
      "This takes the role operator: viewer is viewer; use a token that may do this.",
    );
    expect(await failing(through("viewer"), "audit", "list")).toContain("This takes the role admin");
    expect(await failing(through("viewer"), "events", "list", "data.contactId=cnt_fine")).toContain(
      "This searches payloads",
    );
    await send("evt_masked", "a secret text", "cnt_masked");
    await eventually(async () => expect(await stateOf("evt_masked")).toBe("succeeded"));
    const shown = await penstock.call(["events", "show", "evt_masked"], through("viewer"));
    expect(shown.stderr).toEqual(["Values of bodies are masked: this token may not see payloads."]);
    expect(shown.stdout.join()).not.toContain("a secret text");
  });

  test("a console of another version, and a server that is none", async () => {
    let headers: Record<string, string> = { "penstock-version": "9.1.0" };
    const server = createServer((_, response) => void response.writeHead(200, headers).end("{}"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await failing({ ...other, PENSTOCK_URL: url }, "events", "list")).toMatch(
      /is version 9\.1\.0 and this command \d+\.\d+\.\d+: use the command of its version\.$/,
    );
    headers = {};
    expect(await failing({ ...other, PENSTOCK_URL: url }, "events", "list")).toMatch(/\(HTTP 200\) is no console/);
    headers = { location: "https://elsewhere.example" };
    expect(await failing({ ...other, PENSTOCK_URL: url }, "lanes", "list")).toContain("give that as --url");
  });

  test.each([
    ["replay dry-run evt_1 --handler ordered"],
    ["endpoints reseal"],
    ["sources secrets reseal"],
    ["db url"],
    ["migrate"],
    ["archive list"],
    ["archive fetch 2026-10-01"],
    ["console link"],
    ["export --all"],
    ["import nothing.ndjson"],
    ["listen --print"],
    ["reconcile buzzbip --since 1h"],
    ["sources list"],
    ["sources verify buzzbip nothing.http"],
  ])("%s does not work through a console, and says so", async (command) => {
    const words = command.split(" ");
    const [, name = ""] = /^(.*?)(?= --| evt_| [\d-]+$| nothing| buzzbip|$)/.exec(command) ?? [];
    const says = (without: string): string =>
      `\`${name}\` works on the machine of the project and its database, not through a console: run it there, ${without}.`;
    expect(await failing(other, ...words)).toBe(says("with PENSTOCK_URL unset"));
    expect(await failing({}, ...words, "--url", consoleUrl)).toBe(says("without --url"));
    expect(await failing({}, "--url", consoleUrl, ...words)).toBe(says("without --url"));
  });

  test("what needs no database takes no console either", async () => {
    expect(await failing({}, "secret", "show", "--url", consoleUrl)).toMatch(/^`secret show` works on the machine/);
    expect((await penstock.call(["secret", "show"], other)).code).toBe(0);
    expect(await failing(other, "replay", "create", "evt_blocked", "--with-body", "nothing.json")).toMatch(
      /works on the machine of the project.*not through/,
    );
  });

  test("send says where it sends to, and that it does not go through the console", async () => {
    const { code, stderr } = await penstock.call(["send", "contact.created"], other);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: [
        expect.stringMatching(
          /^PENSTOCK_URL is set, and `send` does not go through a console: it sends to http:\/\/127\.0\.0\.1:\d+\/webhooks\/buzzbip\. What becomes of it will not be shown/,
        ),
      ],
    });
  });

  test("--url in front of a command that is about the project is refused, and one of its own behind it is its own", async () => {
    expect(await failing({}, "--url", consoleUrl, "sources", "list")).toMatch(/^`sources list` works on the machine/);
    const { stderr } = await penstock.call(["send", "message.received", "--url", "http://127.0.0.1:9/none"]);
    expect(stderr.join()).toContain("Nothing listens at http://127.0.0.1:9");
  });
});
