import {
  addPerson,
  advanceIssues,
  createEndpoint,
  createSignInLink,
  createStore,
  migrate,
  type Store,
} from "@penstock/store";
import { recordAnswers } from "@penstock/store/intake";
import { createTestDatabase, startProcess } from "@penstock/testing";
import type { Page } from "playwright-core";
import { beforeAll, expect } from "vitest";
import { expectAccessible } from "./harness/expect-accessible.ts";
import { test } from "./harness/test.ts";

const CONSOLE = new URL("../../apps/console/", import.meta.url);

let store: Store;
let url: string;
beforeAll(async () => {
  const options = { applicationName: "browser-test", maxConnections: 4 };
  const { url: databaseUrl } = await createTestDatabase({
    template: "browser_console",
    migrate: async (template) => {
      const made = createStore({ connectionString: template, ...options });
      await migrate(made);
      await made.close();
    },
  });
  store = createStore({ connectionString: databaseUrl, ...options });
  const server = startProcess({
    file: new URL("src/main.ts", CONSOLE),
    env: {
      DATABASE_URL: databaseUrl,
      PENSTOCK_MASTER_KEY: `${"k".repeat(43)}=`,
      CONSOLE_HOST: "127.0.0.1",
      CONSOLE_PORT: "0",
      CONSOLE_INTERNAL_PORT: "0",
    },
    name: "console",
  });
  const ready = await server.waitForLine(/console ready/, 60_000);
  url = `http://127.0.0.1:${(JSON.parse(ready.input) as { port: number }).port}`;
  await addDead("TypeError", 1, 3);
  await addDead("RangeError", 4, 4);
  for (let minute = 0; minute < 60; minute++) {
    const counts = [50, 50 + (minute % 7) * 10, minute % 5, 0];
    const answers = { upToMs: [1, 5, 10], counts: minute < 2 ? [0, 100, 0, 0] : counts };
    await recordAnswers(store, { ...answers, unavailable: minute === 20 ? 3 : 0 }, minute * 60_000);
  }
  return async () => {
    server.kill();
    await server.exited;
    await store.close();
  };
});

async function addDead(errorClass: string, first: number, last: number): Promise<void> {
  await store.pool.query(
    `WITH came AS (
       INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
       SELECT n, (now() AT TIME ZONE 'UTC')::date, now(), 'buzzbip', 'evt_' || n, 'x', '{}', 0, 0
         FROM generate_series($2::int, $3::int) AS n RETURNING day, seq
     ), registered AS (
       INSERT INTO penstock.handlers (name, kind, types) VALUES ('inbox', 'transactional', '{x}') ON CONFLICT DO NOTHING
     ), died AS (
       INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts)
       SELECT day, seq, 'inbox', 'dead', 1 FROM came RETURNING *
     )
     INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class, error_message, worker)
     SELECT day, seq, 'inbox', 1, now(), now(), 'failed', $1, 'no name in it', 'w' FROM died`,
    [errorClass, first, last],
  );
  await advanceIssues(store);
}

const ENDPOINT = "ep_00000000000000aa";

/** An endpoint that is down and has missed something, and a lane that a dead letter blocks; each is an issue. */
async function addRepairable(): Promise<void> {
  const settings = {
    url: "https://example.com/down",
    types: ["*"],
    concurrency: 10,
    disableAfterMs: 432_000_000,
    description: null,
    tenant: null,
    filter: null,
    lane: null,
    headerName: null,
    ratePerSecond: null,
    scheduleMs: null,
    disableAfterFailures: null,
  };
  await createEndpoint(store, { id: ENDPOINT, secret: "sealed", settings }, "test");
  await store.pool.query(
    `WITH came AS (
       INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
       VALUES (100, (now() AT TIME ZONE 'UTC')::date, now(), 'buzzbip', 'evt_blocked', 'x', '{}', 0, 0) RETURNING day, seq
     ), registered AS (
       INSERT INTO penstock.handlers (name, kind, types, lane_order, on_dead)
       VALUES ('ordered', 'transactional', '{x}', 'strict', 'block')
     ), died AS (
       INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts, lane, lane_at)
       SELECT day, seq, name, 'dead', 1, lane, CASE WHEN lane IS NOT NULL THEN now() END
         FROM came, (VALUES ('ordered', 'cnt_1'), ($1, NULL)) AS of (name, lane) RETURNING *
     ), tried AS (
       INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class, error_message, worker)
       SELECT day, seq, subscriber, 1, now(), now(), 'failed', 'HttpError', 'status 500', 'w' FROM died
     )
     UPDATE penstock.endpoints SET parks = 1, failures = 10, failing_since = now() WHERE id = $1`,
    [ENDPOINT],
  );
  await advanceIssues(store);
}

let people = 0;

/** Signs somebody in by a link, as they would. */
async function signIn(page: Page, role: "viewer" | "operator"): Promise<void> {
  const email = `${role}${++people}@example.com`;
  const person = await addPerson(store, { email, name: role, role, seesPayloads: false }, "test");
  if (person === null) throw new Error("nobody was added");
  const { token } = await createSignInLink(store, person, 60, "test");
  await page.goto(`${url}/sign-in#link=${token}`);
  await page.getByRole("navigation").waitFor();
}

test("the overview says what needs attention, and leads to it", async ({ page }) => {
  await signIn(page, "viewer");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const attention = page.getByRole("region", { name: "Needs attention" });
  await attention.getByText("RangeError: no name in it").waitFor();
  expect(await attention.getByRole("listitem").count()).toBe(2);
  await page.getByRole("img", { name: "Events accepted, by minute" }).waitFor();
  const acknowledgement = page.getByRole("region", { name: "Acknowledgement" });
  await acknowledgement.getByText("99 of 100 within 5 ms").waitFor();
  await acknowledgement.getByText(/^3 requests of the last hour were answered 503/).waitFor();
  await acknowledgement.locator("canvas").waitFor();
  await expectAccessible(page);
  await attention.getByRole("link", { name: "Dead letters: inbox" }).last().click();
  await page.getByRole("heading", { name: /^Issue \d+$/ }).waitFor();
  // Who may only look is offered nothing else.
  expect(await page.getByRole("button", { name: "Resolve" }).count()).toBe(0);
  await expectAccessible(page);
});

test("an issue is acknowledged, retried after its count was told, and put back", async ({ page }) => {
  await signIn(page, "operator");
  await page.keyboard.press("g");
  await page.keyboard.press("i");
  await page.getByRole("heading", { name: "Issues" }).waitFor();
  await page
    .getByRole("row", { name: /TypeError/ })
    .getByRole("link")
    .click();
  await page.getByText("TypeError: no name in it").waitFor();
  await page.getByRole("button", { name: "Acknowledge" }).click();
  await page.getByText("acknowledged", { exact: true }).waitFor();

  await page.keyboard.press("r");
  await page.getByText("3 will run again, with all their tries").waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Retry 3" }).click();
  // No worker runs here: it stays at its beginning, and is undone.
  const retries = page.getByRole("region", { name: "Retries" });
  await retries.getByText("0 of 0 done").waitFor();
  await retries.getByRole("button", { name: "Put back what was not begun" }).click();
  await retries.getByText("ended").waitFor();
  await page.getByText("3 left").waitFor();
  await page.getByRole("button", { name: "Resolve" }).click();
  await page.getByText("resolved", { exact: true }).waitFor();
  await page.getByRole("link", { name: "All issues" }).click();
  await page.getByLabel("State").selectOption("resolved");
  await page.getByRole("row", { name: /TypeError/ }).waitFor();
  expect(new URL(page.url()).search).toBe("?state=resolved");
});

test.for(["en", "it"] as const)("its pages are there in %s, light and dark", async (language, { openPage }) => {
  const title = language === "en" ? "Overview" : "Panoramica";
  for (const theme of ["light", "dark"] as const) {
    const page = await openPage({ language, theme });
    await signIn(page, "viewer");
    await page.getByRole("heading", { name: title }).waitFor();
    await page.getByRole("listitem").first().waitFor();
    await expectAccessible(page);
    const shots = process.env["SCREENSHOTS"];
    if (shots) await page.screenshot({ path: `${shots}/overview-${language}-${theme}.png`, fullPage: true });
    await page
      .getByRole("link", { name: "Dead letters: inbox" })
      .or(page.getByRole("link", { name: /: inbox$/ }))
      .first()
      .click();
    await page.getByRole("img").last().waitFor();
    await expectAccessible(page);
    if (shots) await page.screenshot({ path: `${shots}/issue-${language}-${theme}.png`, fullPage: true });
  }
});

test("an endpoint that is down and a lane that is blocked are mended where they are told of", async ({ page }) => {
  await addRepairable();
  await signIn(page, "operator");
  const shots = process.env["SCREENSHOTS"];

  await page.goto(`${url}/issues`);
  await page
    .getByRole("row", { name: /Blocked lanes/ })
    .getByRole("link")
    .first()
    .click();
  const lanes = page.getByRole("region", { name: "Blocked lanes", exact: true });
  await lanes.getByText("cnt_1").waitFor();
  await expectAccessible(page);
  if (shots) await page.screenshot({ path: `${shots}/issue-lane.png`, fullPage: true });
  const example = page.getByRole("link", { name: "evt_blocked" });
  expect(await example.getAttribute("href")).toContain("/events/buzzbip/evt_blocked");
  await lanes.getByRole("button", { name: "Skip the dead letter" }).click();
  await lanes.getByText("No lane of it is blocked any more.").waitFor();

  await page.goto(`${url}/issues`);
  await page
    .getByRole("row", { name: /Endpoint down/ })
    .getByRole("link")
    .first()
    .click();
  const endpoint = page.getByRole("region", { name: "The endpoint", exact: true });
  await endpoint.getByRole("button", { name: "Recover 1" }).click();
  await page.getByText("To be sent again: 1.").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Recover 1" }).click();
  await page.getByText("1 delivery is sent again.").waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  await expectAccessible(page);
  if (shots) await page.screenshot({ path: `${shots}/issue-endpoint.png`, fullPage: true });
  await endpoint.getByRole("link", { name: "https://example.com/down" }).click();
  await page.getByRole("link", { name: "evt_blocked" }).waitFor();
  await page.getByRole("button", { name: /Show tries/ }).click();
  await page.getByText(/^POST https:\/\/example\.com\/down \(as it is set now\)/).waitFor();
  await expectAccessible(page);
});
