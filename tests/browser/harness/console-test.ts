import type { Page } from "playwright-core";
import { startPenstock } from "./penstock.ts";
import { type Look, test as base } from "./test.ts";

/** A test with a real Penstock, the same for all tests of a file, and people who are signed in to its console. */
export const test = base
  .extend("penstock", { scope: "file" }, () => startPenstock())
  .extend(
    "signIn",
    ({ penstock, openPage }) =>
      async (look: Look & { role?: "viewer" | "operator" } = {}): Promise<Page> => {
        const page = await openPage(look);
        await page.goto(await penstock.signInLink(look.role));
        await page.getByRole("navigation").waitFor();
        return page;
      },
  );
