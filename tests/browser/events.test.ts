import { buzzbip, defineSources } from "@penstock/sources";
import { addPerson, commitBatch, createEngineStore, createSignInLink, listAudit } from "@penstock/store";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { type ConsoleUnderTest, startConsole } from "../../apps/console/test/console-under-test.ts";
import { makeEvent } from "../../packages/schemas/src/fixtures.ts";
import { expectAccessible } from "./harness/expect-accessible.ts";
import { test } from "./harness/test.ts";

type NewEvent = Parameters<typeof commitBatch>[1][number];

const newEvent = (name: string, type = "message.received"): NewEvent => ({
  source: "buzzbip",
  eventId: `evt_${name}`,
  key: null,
  type,
  createdAt: null,
  subjects: ["cnt_1"],
  problem: null,
  traceparent: null,
  bodyVaries: false,
  arrival: {
    names: ["user-agent", "content-type"],
    values: ["Acme-Webhooks/1.0", "application/json"],
    secret: "1f2e3d4c",
    signatureAgeMs: 1_500,
  },
  body: Buffer.from(
    JSON.stringify({
      data: { contactId: `cnt_${name}`, text: "Where is my refund?", n: 9007199254740993n.toString() },
    }),
  ),
  replay: null,
});

let console: ConsoleUnderTest;
beforeAll(async () => {
  console = await startConsole(
    { TRACE_URL: "https://traces.example.com/{traceId}" },
    {
      list: defineSources({ buzzbip: buzzbip(), "buzzbip-eu": buzzbip({ sensitive: ["data.text"] }) }).list,
      secrets: { buzzbip: ["whsec_of_the_pages"] },
    },
  );
  await record(["first", "second", "third"].map((name) => newEvent(name)));
  await record([newEvent("created", "contact.created")]);
  await console.store.pool.query(`
    INSERT INTO penstock.handlers (name, kind, types, registered_at)
    VALUES ('inbox', 'transactional', '{message.received}', now());
    INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts)
    SELECT day, seq, 'inbox', CASE event_id WHEN 'evt_second' THEN 'dead' ELSE 'succeeded' END, 1 FROM penstock.events
     WHERE type = 'message.received';
    INSERT INTO penstock.attempts
    SELECT day, seq, 'inbox', n, received_at + n * interval '2 s', received_at + n * interval '3.1 s', 'failed',
           'Error', CASE n WHEN 3 THEN 'no such lead' ELSE 'no such contact' END, 'w1'
      FROM penstock.events, generate_series(1, 3) AS n WHERE event_id = 'evt_second';
    INSERT INTO penstock.replays (id, request, again, status) VALUES ('mend', '{}', false, 'done');
    UPDATE penstock.deliveries d SET replay_id = 'mend' FROM penstock.events e
     WHERE e.event_id = 'evt_third' AND d.day = e.day AND d.seq = e.seq`);
});
afterAll(() => console.close());

/** Records events as a worker does. */
async function record(events: readonly NewEvent[]): Promise<void> {
  const batches = [await commitBatch(console.store, events)];
  const claim = { batches, onlyThese: true, maxEvents: 100, maxBytes: 1e9 };
  await createEngineStore(console.store, "test").transaction((tx) => tx.claimBatches(claim));
}

let people = 0;
async function signIn(page: Page, role: "viewer" | "operator", seesPayloads: boolean): Promise<void> {
  const email = `person${++people}@example.com`;
  const person = await addPerson(console.store, { email, name: `Person ${people}`, role, seesPayloads }, "test");
  const { token } = await createSignInLink(console.store, person ?? { id: "", email }, 60, "test");
  await page.goto(`${console.url}/sign-in#link=${token}`);
  await page.getByRole("navigation").first().waitFor();
  await page.goto(`${console.url}/events`);
  await page.getByRole("link", { name: "evt_first" }).waitFor();
}

test("a try of a replay says which replay, and leads to it; in Italian, outcomes and times are Italian, too", async ({
  openPage,
}) => {
  const page = await openPage({ language: "it" });
  await signIn(page, "viewer", true);
  await page.goto(`${console.url}/events/buzzbip/evt_third`);
  await page.getByRole("link", { name: "riesecuzione mend" }).click();
  await page.getByRole("region", { name: "Riesecuzioni" }).getByText("mend").waitFor();
  await page.goto(`${console.url}/events/buzzbip/evt_second`);
  await page.getByRole("cell", { name: "fallito" }).first().waitFor();
  await page.getByText(/^\+9,3 s$/).waitFor();
});

const queryOf = (page: Page): string | null => new URL(page.url()).searchParams.get("q");

test("events are searched with completion; the query stands in the URL, and what is wrong is told with its place", async ({
  page,
}) => {
  await signIn(page, "operator", true);
  await page.keyboard.press("/");
  const field = page.getByRole("combobox", { name: "Search events" });
  await page.keyboard.type("sta");
  await page.getByRole("option", { name: "state:" }).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  await page.keyboard.type("de");
  await page.keyboard.press("Tab");
  await expect.poll(() => field.inputValue()).toBe("state:dead ");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "evt_first" }).waitFor({ state: "detached" });
  await page.getByRole("link", { name: "evt_second" }).waitFor();
  expect(queryOf(page)).toBe("state:dead");

  await field.fill("data.contactId=cnt_third age<2h");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "evt_third" }).waitFor();
  await field.fill("state:broken");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "there is no state broken" }).waitFor();
  expect(queryOf(page)).toBe("data.contactId=cnt_third age<2h");
  await page.reload();
  await page.getByRole("link", { name: "evt_third" }).waitFor();
});

test("a bar of the histogram is a time filter, which is taken away again", async ({ page }) => {
  await signIn(page, "viewer", false);
  await page
    .getByRole("group", { name: /^Events over time/ })
    .getByRole("button", { name: /: [1-9]\d* events?$/ })
    .last()
    .click();
  await expect.poll(() => queryOf(page)).toMatch(/^after:\S+ before:\S+$/);
  await page.getByRole("link", { name: "evt_first" }).waitFor();
  await page.getByRole("button", { name: "Any time" }).click();
  await expect.poll(() => queryOf(page)).toBe(null);
});

test("the list is live, and pauses while somebody points at it", async ({ page }) => {
  await signIn(page, "viewer", false);
  await record([newEvent("live_1")]);
  await page.getByRole("link", { name: "evt_live_1" }).waitFor();
  await page.getByRole("link", { name: "evt_live_1" }).hover();
  await page.getByText("Paused while you point at the list").waitFor();
  // What was under way when it paused has come.
  await page.waitForLoadState("networkidle");
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  await record([newEvent("live_2")]);
  await page.clock.install();
  await page.clock.runFor(20_000);
  expect(asked.filter((url) => url.includes("/events"))).toEqual([]);
  expect(await page.getByRole("link", { name: "evt_live_2" }).count()).toBe(0);
  await page.getByRole("heading", { level: 1 }).hover();
  await page.getByText("● Live").waitFor();
  await page.clock.runFor(11_000);
  await page.getByRole("link", { name: "evt_live_2" }).waitFor();
});

test("j, k and o walk the list and open an event; r replays it, once the count is read", async ({ page }) => {
  await signIn(page, "operator", true);
  await page.goto(`${console.url}/events?q=id%3Aevt_second`);
  await page.getByRole("link", { name: "evt_second" }).waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("o");
  await page.getByRole("heading", { level: 1, name: "evt_second" }).waitFor();
  await expect.poll(() => page.getByRole("img", { name: /^attempt \d: failed/ }).count()).toBe(3);
  await page.getByRole("cell", { name: "Error: no such contact" }).first().waitFor();
  await page.getByText("900 ms after the try before · the same error · took 2.2 s, before 1.1 s").waitFor();
  await page.getByRole("deletion").filter({ hasText: "contact" }).waitFor();
  await page.getByRole("insertion").filter({ hasText: "lead" }).waitFor();
  await page.keyboard.press("r");
  const dialog = page.getByRole("dialog");
  await dialog.getByText("1 delivery is done again: inbox").waitFor();
  await dialog.getByRole("button", { name: "Replay" }).click();
  await dialog.getByText(/^Replay \w+ runs now/).waitFor();
  const [entry] = await listAudit(console.store, { action: "replay.create" });
  expect(entry?.detail).toMatchObject({ event: expect.stringMatching(/^seq:\d+$/) as string });
});

test("the body is read when it is asked for, and that is on record; a viewer without that right sees keys alone", async ({
  openPage,
}) => {
  const reads = async (): Promise<number> => (await listAudit(console.store, { action: "events.read-body" })).length;
  const reader = await openPage();
  await signIn(reader, "viewer", true);
  await reader.goto(`${console.url}/events/buzzbip/evt_first`);
  await reader.getByRole("tab", { name: "Body" }).waitFor();
  const before = await reads();
  await reader.getByRole("tab", { name: "Body" }).click();
  await reader.getByText('"contactId": "cnt_first"').waitFor();
  expect(await reads()).toBe(before + 1);
  expect(await reader.getByRole("button", { name: "Replay" }).count()).toBe(0);

  const other = await openPage();
  await signIn(other, "viewer", false);
  await other.goto(`${console.url}/events/buzzbip/evt_first?tab=body`);
  await other.getByText('"contactId": "•••"').waitFor();
  expect(await other.locator("body").textContent()).not.toContain("refund");
  expect(await reads()).toBe(before + 1);
});

test("sensitive fields of a body are masked until they are asked for; an edit begins with all of it", async ({
  page,
}) => {
  await signIn(page, "operator", true);
  await record([{ ...newEvent("eu"), source: "buzzbip-eu" }]);
  await page.goto(`${console.url}/events/buzzbip-eu/evt_eu?tab=body`);
  await page.getByText('"text": "•••"').waitFor();
  await page.getByText('"contactId": "cnt_eu"').waitFor();
  expect(await page.getByRole("button", { name: "Copy as cURL" }).count()).toBe(0);
  await expectAccessible(page);
  await page.getByRole("button", { name: "Show sensitive fields" }).click();
  await page.getByText('"text": "Where is my refund?"').waitFor();
  await page.getByRole("button", { name: "Copy as cURL" }).waitFor();
  const [entry] = await listAudit(console.store, { action: "events.read-body" });
  expect(entry?.detail).toMatchObject({ revealed: true });
  await page.goto(`${console.url}/events/buzzbip-eu/evt_eu?tab=edit`);
  await page.getByText("Where is my refund?").waitFor();
});

test("how an event came, its trace, commands that send it to one's own machine, and a dry run that no worker takes", async ({
  page,
}) => {
  await signIn(page, "operator", true);
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  await record([{ ...newEvent("traced"), traceparent }]);
  await page.goto(`${console.url}/events/buzzbip/evt_traced?tab=headers`);
  await page.getByRole("link", { name: "Verified by the secret 1f2e3d4c" }).waitFor();
  await page.getByText("The signature was 1.5 s old when it came.").waitFor();
  await page.getByText("Acme-Webhooks/1.0").waitFor();
  const link = page.getByRole("link", { name: "0af7651916cd43dd8448eb211c80319c" });
  expect(await link.getAttribute("href")).toBe("https://traces.example.com/0af7651916cd43dd8448eb211c80319c");

  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(`${console.url}/events/buzzbip/evt_first?tab=body`);
  await page.getByLabel("Your program's URL").fill("http://localhost:4567/hook");
  await page.getByText(/^penstock listen --event seq:\d+ --forward 'http:\/\/localhost:4567\/hook'$/).waitFor();
  await page.getByRole("button", { name: "Copy as signed cURL" }).click();
  await page.getByText("Copied: the exact bytes").waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied).toMatch(/^curl -X POST 'http:\/\/localhost:4567\/hook' .*-H 'x-buzzbip-signature: [0-9a-f]{64}'/);
  expect(copied).toContain(`--data-binary '{"data":{"contactId":"cnt_first"`);
  await page.reload();
  await expect.poll(() => page.getByLabel("Your program's URL").inputValue()).toBe("http://localhost:4567/hook");
  await page.getByLabel("Your program's URL").fill("nonsense");
  await page.getByText("It must be an http or https URL").waitFor();

  await page.goto(`${console.url}/events/buzzbip/evt_first?tab=dry-run`);
  await page.getByRole("button", { name: "Dry run" }).click();
  await page.getByText("Waiting for a worker that has the handler").waitFor();
  await console.store.pool.query("UPDATE penstock.dry_runs SET requested_at = now() - interval '61 s'");
  await page.getByText("No worker with this handler has taken it within a minute").waitFor();
  await page.getByText(/^penstock replay dry-run seq:\d+ --handler inbox$/).waitFor();
});

test("a body is edited, checked and replayed, once it is clear who gets it", async ({ page }) => {
  await signIn(page, "operator", true);
  const body = Buffer.from(JSON.stringify(makeEvent("message.received", { data: { body: "Where?" } })));
  await record([{ ...newEvent("edited"), body }]);
  await page.goto(`${console.url}/events/buzzbip/evt_edited?tab=edit`);
  const editor = page.getByRole("textbox", { name: "Body to be handled instead" });
  await editor.getByText('"Where?"').waitFor();
  expect(await page.getByRole("button", { name: "Check" }).isDisabled()).toBe(true);
  await editor.fill("{}");
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByRole("alert").filter({ hasText: "It would not be understood (invalid-shape)" }).waitFor();
  await editor.fill(body.toString().replace("Where?", "Here."));
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText("It is understood. 1 subscriber gets it").waitFor();
  await page.getByLabel("Why").fill("a typo of the sender");
  await keep(page, "event-edit-checked");
  await page.getByRole("button", { name: "Replay this body" }).click();
  await page.getByRole("link", { name: /^evt_edited#replay-/ }).click();
  await page.getByRole("heading", { level: 1, name: /^evt_edited#replay-/ }).waitFor();
  const [entry] = await listAudit(console.store, { action: "replay.create" });
  expect(entry?.detail).toMatchObject({ reason: "a typo of the sender" });
});

test.for([
  { theme: "light", language: "en" },
  { theme: "dark", language: "it" },
] as const)("the pages are accessible: $theme, $language", async (look, { openPage }) => {
  const page = await openPage(look);
  await signIn(page, "operator", true);
  await page.getByRole("heading", { level: 1, name: look.language === "en" ? "Events" : "Eventi" }).waitFor();
  await page.waitForLoadState("networkidle");
  await expectAccessible(page);
  await keep(page, `events-${look.theme}`);
  for (const tab of ["attempts", "body", "headers", "related", "dry-run", "edit"]) {
    await page.goto(`${console.url}/events/buzzbip/evt_second?tab=${tab}`);
    await page.getByRole("tabpanel").waitFor();
    await page.waitForLoadState("networkidle");
    await expectAccessible(page);
    await keep(page, `event-${tab}-${look.theme}`);
  }
});

/** A picture to look at. */
async function keep(page: Page, name: string): Promise<void> {
  await page.screenshot({
    path: new URL(`../../node_modules/.cache/browser-pictures/${name}.png`, import.meta.url).pathname,
    fullPage: true,
  });
}
