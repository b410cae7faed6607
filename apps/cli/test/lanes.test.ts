import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeEvent } from "@penstock/schemas/fixtures";
import { eventually } from "@penstock/testing";
import { beforeAll, expect, test } from "vitest";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

let penstock: Penstock;
beforeAll(async () => {
  penstock = await createPenstock({
    PENSTOCK_CONFIG: fileURLToPath(new URL("fixtures/lanes.config.ts", import.meta.url)),
  });
  await penstock.start();
  return penstock.remove;
});

const json = async (...args: string[]) => parseLines((await penstock.call([...args, "--json"])).stdout);

async function send(id: string, body: string, contactId = "cnt_lane"): Promise<void> {
  const data = JSON.stringify({ body, contactId });
  expect((await penstock.call(["send", "message.received", "--id", id, "--data", data])).code).toBe(0);
}

async function stateOf(handler: string, id: string): Promise<unknown> {
  return (await json("deliveries", "list", "--handler", handler)).find(({ eventId }) => eventId === id)?.["state"];
}

test("a lane that a dead letter blocks is listed with what is the matter, and goes on once that is skipped", async () => {
  await send("evt_first", "hello");
  await eventually(async () => expect(await stateOf("ordered", "evt_first")).toBe("succeeded"));
  await send("evt_head", "fail");
  await eventually(async () => expect(await stateOf("ordered", "evt_head")).toBe("dead"));
  await send("evt_next", "hello");
  await send("evt_free", "hello", "cnt_other");
  await eventually(async () => expect(await stateOf("ordered", "evt_free")).toBe("succeeded"));

  const { stdout } = await penstock.call(["lanes", "list"]);
  expect(stdout[0]).toMatch(/^HANDLER +LANE +STATE +SINCE +WAITING +HEAD +ERROR$/);
  expect(stdout[1]).toMatch(
    /^ordered +cnt_lane +blocked: dead letter +\d+ \w+ ago +1 +evt_head +PermanentError: told to \\u001b\[31mfail$/,
  );
  expect(await json("lanes", "list", "--handler", "ordered", "--state", "blocked", "--limit", "5")).toMatchObject([
    {
      handler: "ordered",
      lane: "cnt_lane",
      state: "blocked",
      waiting: 1,
      head: { eventId: "evt_head", state: "dead" },
    },
  ]);
  expect(await json("lanes", "list", "--handler", "latest")).toEqual([]);

  await penstock.call(["handlers", "pause", "ordered"]);
  const waiting = await penstock.call(["deliveries", "show", "evt_next", "ordered"]);
  expect(waiting.stdout.join("\n")).toMatch(
    /^handler +ordered {2}\(paused \d+ s ago: nothing of it is started\)\nlane +cnt_lane {2}waits for evt_head, which is a dead letter$/m,
  );
  expect((await penstock.call(["lanes", "list"])).stdout[1]).toContain("blocked: dead letter (paused)");
  await penstock.call(["handlers", "resume", "ordered"]);
  const unblocked = await penstock.call(["lanes", "unblock", "ordered", "cnt_lane"]);
  expect(unblocked).toMatchObject({ code: 0, stdout: ["skipped evt_head, the lane goes on: 1 waiting behind it"] });
  await eventually(async () => expect(await stateOf("ordered", "evt_next")).toBe("succeeded"));
  expect(await stateOf("ordered", "evt_head")).toBe("skipped");
  const story = await penstock.call(["deliveries", "show", "evt_head", "ordered"]);
  expect(story.stdout.join("\n")).toMatch(/ #1 {2}failed .*\n.*told to.*\n {2}skipped {2}20\S+Z {2}by lanes unblock$/);

  const late = {
    id: "evt_late",
    createdAt: new Date(Date.now() - 3_600_000).toISOString(),
    data: { body: "hello", contactId: "cnt_lane" },
  };
  await penstock.call([
    "send",
    "--body-file",
    await penstock.file(JSON.stringify(makeEvent("message.received", late))),
  ]);
  await eventually(async () => expect(await stateOf("ordered", "evt_late")).toBe("succeeded"));
  expect((await penstock.call(["events", "show", "evt_late"])).stdout.join("\n")).toMatch(/ordered ✓ \(late\)$/m);

  const again = await penstock.call(["lanes", "unblock", "ordered", "cnt_lane"]);
  expect(again.code).toBe(1);
  expect(again.stderr.join()).toContain("Nothing waits or runs in lane cnt_lane of ordered");
});

test("an event that was overtaken in its lane says so", async () => {
  const update = async (id: string, createdAt: string): Promise<void> => {
    const file = join(penstock.home, `${id}.json`);
    await writeFile(file, JSON.stringify(makeEvent("contact.updated", { id, createdAt })));
    expect((await penstock.call(["send", "--body-file", file])).code).toBe(0);
  };
  await update("evt_newer", "2026-06-01T12:00:02Z");
  await eventually(async () => expect(await stateOf("latest", "evt_newer")).toBe("succeeded"));
  await update("evt_older", "2026-06-01T12:00:01Z");
  await eventually(async () => expect(await stateOf("latest", "evt_older")).toBe("skipped"));
  const { stdout } = await penstock.call(["deliveries", "list", "--handler", "latest", "--state", "skipped"]);
  expect(stdout[1]).toMatch(/evt_older .*older than what its lane has applied, which is of 2026-06-0/);
});

test.each([
  [["lanes", "list", "--state", "lost"], 2],
  [["lanes", "unblock", "ordered"], 2],
  [["lanes", "unblock", "nobody", "cnt_1"], 1],
])("penstock %j ends with %i", async (args, code) => {
  expect((await penstock.call(args)).code).toBe(code);
});
