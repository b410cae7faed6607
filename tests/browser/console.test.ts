import { expect } from "vitest";
import { test } from "./harness/console-test.ts";
import { expectAccessible } from "./harness/expect-accessible.ts";
import { troubleOf } from "./harness/test.ts";

/** Every page, by its path, with its heading in both languages. */
const PAGES = [
  { path: "/overview", en: "Overview", it: "Panoramica" },
  { path: "/events", en: "Events", it: "Eventi" },
  { path: "/issues", en: "Issues", it: "Problemi" },
  { path: "/sources", en: "Sources", it: "Sorgenti" },
  { path: "/composer", en: "Composer", it: "Compositore" },
  { path: "/endpoints", en: "Endpoints", it: "Endpoint" },
  { path: "/handlers", en: "Handlers", it: "Handler" },
  { path: "/database", en: "Database", it: "Database" },
  { path: "/settings", en: "Settings", it: "Impostazioni" },
] as const;

test("a one-time link signs in once; nobody gets in without one", async ({ penstock, openPage }) => {
  const link = await penstock.signInLink();
  const page = await openPage();
  await page.goto(`${penstock.url}/endpoints`);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  expect(
    troubleOf(page)
      .splice(0)
      .filter((line) => !line.includes("401")),
  ).toEqual([]);
  await page.goto(link);
  await page.getByRole("navigation").waitFor();
  expect(page.url()).not.toContain("link=");
  const again = await openPage();
  await again.goto(link);
  await again.getByRole("alert").filter({ hasText: "This link was used, or has run out" }).waitFor();
  for (const each of [page, again]) {
    expect(
      troubleOf(each)
        .splice(0)
        .filter((line) => !line.includes("401")),
    ).toEqual([]);
  }
});

test("the first admin sets a password, and signs in with it and the address that Settings shows", async ({
  penstock,
  signIn,
}) => {
  const page = await signIn();
  await page.goto(`${penstock.url}/settings`);
  const email = await page.getByRole("textbox", { name: "Email", exact: true }).first().inputValue();
  await page.getByLabel("New password").fill("a password of some length");
  await page.getByRole("button", { name: "Set a password" }).click();
  await page.getByText("The password is set.").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill("a password of some length");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
});

test.for([
  { theme: "light", language: "en" },
  { theme: "dark", language: "it" },
  { theme: "dark", language: "en" },
  { theme: "light", language: "it" },
] as const)(
  "every page opens, and axe finds nothing serious: $theme, $language",
  async (look, { penstock, signIn }) => {
    await penstock.send(`evt_${look.theme}_${look.language}`);
    const page = await signIn(look);
    const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(background).toBe(look.theme === "dark" ? "rgb(15, 20, 27)" : "rgb(247, 248, 250)");
    for (const { path, ...heading } of PAGES) {
      await page.goto(penstock.url + path);
      await page.getByRole("heading", { level: 1, name: heading[look.language], exact: true }).waitFor();
      await page.waitForLoadState("networkidle");
      expect(await page.evaluate(() => document.documentElement.lang)).toBe(look.language);
      await expectAccessible(page);
    }
  },
);

test("keys: ? shows all of them, g and a letter go to a page", async ({ penstock, signIn }) => {
  const page = await signIn();
  await page.goto(`${penstock.url}/events`);
  await page.getByRole("heading", { level: 1, name: "Events" }).waitFor();
  await page.keyboard.press("?");
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Go to Handlers").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.keyboard.press("g");
  await page.keyboard.press("h");
  await page.getByRole("heading", { level: 1, name: "Handlers" }).waitFor();
  await expect.poll(() => new URL(page.url()).pathname).toBe("/handlers");
});

test("a viewer is told that payloads are masked, is offered no change, and is refused one", async ({
  penstock,
  signIn,
}) => {
  const page = await signIn({ role: "viewer" });
  await page.getByText("Payloads are masked for you").waitFor();
  await page.goto(`${penstock.url}/endpoints`);
  await page.getByText("Nothing is sent on yet").waitFor();
  expect(await page.getByRole("button", { name: "Add endpoint" }).count()).toBe(0);
  await page.goto(`${penstock.url}/composer`);
  await page.getByText("Sending a request takes the role operator or admin.").waitFor();
  expect(await page.getByRole("navigation").getByRole("link", { name: "Composer" }).count()).toBe(0);
  await page.getByRole("navigation").getByText("Composer (for operators)").waitFor();
  await expectAccessible(page);
  await page.goto(`${penstock.url}/handlers`);
  await page.getByText("tickets").first().waitFor();
  expect(await page.getByRole("button", { name: /^Pause/ }).count()).toBe(0);
  const status = await page.evaluate(async () => {
    const answer = await fetch("/api/v1/handlers/tickets/pause", { method: "POST" });
    return answer.status;
  });
  expect(status).toBe(403);
  expect(troubleOf(page).splice(0)).toEqual([expect.stringContaining("403")]);
});

test("admins look into the queue by bull-board, below the page's policy; others are not offered it", async ({
  penstock,
  signIn,
}) => {
  const viewer = await signIn({ role: "viewer" });
  await viewer.goto(`${penstock.url}/database`);
  await viewer.getByRole("heading", { level: 2, name: "Tables" }).waitFor();
  const link = { name: "The queue (bull-board)" };
  expect(await viewer.getByRole("link", link).count()).toBe(0);

  const page = await signIn();
  await page.goto(`${penstock.url}/database`);
  await page.getByRole("link", link).click();
  await page.getByRole("link", { name: "events" }).first().click();
  await page.getByText("Pointers to batches of events").first().waitFor();
  expect(await page.getByRole("button", { name: /pause|clean|retry|add job/i }).count()).toBe(0);
  // Its font would come from elsewhere.
  expect(
    troubleOf(page)
      .splice(0)
      .filter((line) => !line.includes("fonts.googleapis.com")),
  ).toEqual([]);
});

test("a worker runs a handler dry for an event, and the page shows what it would do", async ({ penstock, signIn }) => {
  await penstock.send("evt_dry");
  const page = await signIn({ role: "operator" });
  await page.goto(`${penstock.url}/events/buzzbip/evt_dry?tab=dry-run`);
  await page.getByRole("combobox", { name: "Handler" }).selectOption("tickets");
  await expect.poll(() => new URL(page.url()).searchParams.get("handler")).toBe("tickets");
  await page.getByRole("button", { name: "Dry run" }).click();
  await page.getByText(/^It would succeed, in /).waitFor();
  await page.getByText("No rows would change.").waitFor();
});
