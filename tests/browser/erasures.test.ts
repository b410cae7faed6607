import { expect } from "vitest";
import { test } from "./harness/console-test.ts";
import { expectAccessible } from "./harness/expect-accessible.ts";

test("an admin erases a person: whom, a plan, then for good; a viewer sees how far it is", async ({
  penstock,
  signIn,
  openPage,
}) => {
  await penstock.send("evt_ada", { contactId: "cnt_ada", from: "+393337654321", body: "my order" });
  const page = await signIn();
  await page.goto(`${penstock.url}/database`);
  await page.getByText("Nobody has been erased yet.").waitFor();
  await page.getByRole("button", { name: "Erase a person…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Show what would be erased" }).click();
  await dialog.getByText("Say whom to erase.").waitFor();
  await dialog.getByLabel("Value at a path").fill("no path");
  await dialog.getByRole("button", { name: "Show what would be erased" }).click();
  await dialog.getByText("Give a path of the body").waitFor();
  await dialog.getByLabel("Value at a path").fill("");
  await dialog.getByLabel("Id", { exact: true }).fill("cnt_ada");
  await dialog.getByLabel("Phone number").fill("+393337654321");
  await expectAccessible(page);
  // A worker may have it only now.
  await expect
    .poll(async () => {
      await dialog.getByRole("button", { name: "Show what would be erased" }).click();
      await dialog.getByRole("button", { name: "Erase for good" }).waitFor();
      const text = await dialog.textContent();
      if (text?.includes("1 event has it.")) return true;
      await dialog.getByRole("button", { name: "Back" }).click();
      return false;
    })
    .toBe(true);
  await dialog.getByText("Asked to erase what they keep: ordered, tickets").waitFor();
  await expectAccessible(page);
  await dialog.getByRole("button", { name: "Erase for good" }).click();
  await dialog.waitFor({ state: "detached" });
  const row = page.getByRole("row").filter({ hasText: "subject, value" });
  await row.getByText("done", { exact: true }).waitFor();
  expect(await row.textContent()).toMatch(/ordered: has no erase.*tickets: has no erase/);
  expect(await page.locator("body").textContent()).not.toContain("cnt_ada");
  await expectAccessible(page);
  expect(await penstock.cli("events", "show", "evt_ada")).toMatch(/^body\n {2}\(erased\)$/m);

  const viewer = await openPage({ language: "it" });
  await viewer.goto(await penstock.signInLink("viewer"));
  await viewer.getByRole("navigation").waitFor();
  await viewer.goto(`${penstock.url}/database`);
  await viewer.getByRole("cell", { name: "conclusa" }).waitFor();
  expect(await viewer.getByRole("button", { name: "Cancella una persona…" }).count()).toBe(0);
  await expectAccessible(viewer);
});
