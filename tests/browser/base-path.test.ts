import { afterAll, beforeAll, expect } from "vitest";
import { type ConsoleUnderTest, startConsole } from "../../apps/console/test/console-under-test.ts";
import { test } from "./harness/test.ts";

const port = 20_000 + (process.pid % 20_000);
const base = `http://127.0.0.1:${port}/penstock`;

let console: ConsoleUnderTest;
beforeAll(async () => {
  console = await startConsole({ CONSOLE_PORT: String(port), CONSOLE_URL: base });
});
afterAll(() => console.close());

test("below a path, one signs in to the page that one came for, and the path without a slash leads to it", async ({
  page,
}) => {
  await page.goto(await console.signInUrl());
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  expect(page.url()).toBe(`${base}/overview`);
  await page.goto(`${base}/settings`);
  await page.getByLabel("New password").fill("a password of some length");
  await page.getByRole("button", { name: "Set a password" }).click();
  await page.getByText("The password is set.").waitFor();
  const email = await page.getByRole("textbox", { name: "Email", exact: true }).first().inputValue();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();

  await page.goto(`${base}/issues?state=all`);
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill("a password of some length");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Issues" }).waitFor();
  expect(page.url()).toBe(`${base}/issues?state=all`);

  await page.goto(base);
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  expect(page.url()).toBe(`${base}/overview`);
});
