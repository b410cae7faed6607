import { buzzbip, defineSources, signBuzzBip } from "@penstock/sources";
import { eventually } from "@penstock/testing";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { type ConsoleUnderTest, MASTER_KEY, startConsole } from "../../apps/console/test/console-under-test.ts";
import { type IngestBeside, startIngestBeside } from "../../apps/console/test/ingest-beside.ts";
import { expectAccessible } from "./harness/expect-accessible.ts";
import { test } from "./harness/test.ts";

const SECRET = "whsec_of_the_environment";
const sources = defineSources({ buzzbip: buzzbip() });
const port = 20_000 + (process.pid % 20_000);

let console: ConsoleUnderTest;
let ingest: IngestBeside;
beforeAll(async () => {
  console = await startConsole(
    { INGEST_URL: `http://127.0.0.1:${port}` },
    { list: sources.list, secrets: { buzzbip: [SECRET] } },
  );
  const env = { INGEST_PORT: String(port), PENSTOCK_MASTER_KEY: MASTER_KEY, BUZZBIP_SIGNING_SECRETS: SECRET };
  ingest = await startIngestBeside(console.databaseUrl, sources, env);
});
afterAll(async () => {
  await ingest.close();
  await console.close();
});

/** Signs the admin in by a link, as `npm start` prints one. */
async function signIn(page: Page): Promise<void> {
  await page.goto(await console.signInUrl());
  await page.getByRole("navigation").waitFor();
}

test("a secret is rotated on the page of sources, and ingest accepts what is signed with it", async ({ page }) => {
  await signIn(page);
  await page.getByRole("link", { name: "Sources" }).click();
  const panel = page.getByRole("region", { name: "buzzbip", exact: true });
  await panel.getByText(`${ingest.url}/webhooks/buzzbip`).waitFor();
  await panel.getByRole("button", { name: "Add or rotate" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Add the secret" }).click();
  await dialog.getByText(/Ingest accepts it within 5 seconds/).waitFor();
  const [secret = ""] = await dialog.locator("code").allTextContents();
  expect(secret).toMatch(/^whsec_/);
  await dialog.getByRole("button", { name: "Close" }).click();
  await panel.getByText("database").waitFor();
  const body = Buffer.from(JSON.stringify({ id: "evt_browser", type: "message.received" }));
  await eventually(async () => {
    const answer = await fetch(`${ingest.url}/webhooks/buzzbip`, {
      method: "POST",
      body,
      headers: signBuzzBip(body, secret),
    });
    expect(answer.status).toBe(200);
  });
  await expectAccessible(page);
});

test("the composer sends a sample signed and tampered with, and shows what became of each", async ({ page }) => {
  await signIn(page);
  await page.goto(`${console.url}/composer?source=buzzbip&type=contact.created`);
  await page.locator(".cm-content", { hasText: "contact.created" }).waitFor();
  await page.getByRole("button", { name: "Send it" }).click();
  await page.getByText("It was accepted.").waitFor();
  await console.recordEvents();
  await page.getByText(/It was processed/).waitFor();

  await page.getByLabel("How it is sent").selectOption("tampered");
  // Ingest has not written it down yet.
  await page.route("**/refused-requests?*", (route) => route.fulfill({ json: { items: [], next: null } }), {
    times: 1,
  });
  await page.getByRole("button", { name: "Send it" }).click();
  await page.getByText("It was refused, as it should be.").waitFor();
  await page.getByText("It is being looked for").waitFor();
  await page
    .getByText(/the signature is right for it without/)
    .first()
    .waitFor();
  expect(page.url()).toContain("way=tampered");
  await expectAccessible(page);
});

test("what is typed into the editor of the composer is sent, and keys of the page are not heard meanwhile", async ({
  page,
}) => {
  await signIn(page);
  await page.goto(`${console.url}/composer?source=buzzbip`);
  const editor = page.locator(".cm-content");
  await editor.click();
  await page.keyboard.press("Control+A");
  await page.keyboard.type("gs? no json");
  await page.getByRole("button", { name: "Send it" }).click();
  await page.getByText("It was accepted.").waitFor();
  expect(page.url()).toContain("/composer");
  await page.getByText("It has no id to find it by: see Events.").waitFor();
});

test("the audit log shows what was changed, and is filtered by the URL; in Italian, dark", async ({ openPage }) => {
  const page = await openPage({ theme: "dark", language: "it" });
  await signIn(page);
  await page.goto(`${console.url}/settings/audit?action=sources`);
  await page.getByRole("cell", { name: "sources.secrets.rotate" }).first().waitFor();
  expect(await page.getByRole("cell", { name: "composer.send" }).count()).toBe(0);
  await page.getByLabel("Che cosa", { exact: true }).fill("composer");
  await page.getByRole("button", { name: "Mostra queste" }).click();
  await page.getByRole("cell", { name: "composer.send" }).first().waitFor();
  expect(page.url()).toContain("action=composer");
  await expectAccessible(page);
  await page.goto(`${console.url}/sources`);
  await page.getByRole("heading", { name: "Segreti di firma" }).waitFor();
  await expectAccessible(page);
});
