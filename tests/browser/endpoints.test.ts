import { accept, answer, openSink, type Sink } from "@penstock/testing";
import { afterAll, beforeAll, expect } from "vitest";
import { test } from "./harness/console-test.ts";
import { expectAccessible } from "./harness/expect-accessible.ts";
import { troubleOf } from "./harness/test.ts";

let sink: Sink;
let isGone = true;
let hasFailed = false;
beforeAll(async () => {
  sink = await openSink();
  sink.answer = (response, received, nth) => {
    const isFirst = !hasFailed && received.path.endsWith("/once-down");
    hasFailed ||= isFirst;
    const how = isGone && received.path.endsWith("/gone") ? answer(410) : isFirst ? answer(500) : accept;
    return how(response, received, nth);
  };
});
afterAll(() => sink.close());

test("an endpoint is added, its secret copied, tested, delivered to, and its secret rotated", async ({
  penstock,
  signIn,
}) => {
  const page = await signIn({ role: "operator" });
  await page.goto(`${penstock.url}/endpoints`);
  await page.getByText("Nothing is sent on yet").waitFor();
  await page.getByRole("button", { name: "Add endpoint" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("URL").fill("https://10.0.0.1/hook");
  await dialog.getByRole("radio", { name: "Only these:" }).check();
  await dialog.getByRole("checkbox", { name: "message.received" }).check();
  await expectAccessible(page);
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("alert").filter({ hasText: "Penstock may not send to this URL" }).waitFor();

  expect(troubleOf(page).splice(0)).toEqual([expect.stringContaining("400")]);
  await dialog.getByLabel("URL").fill(sink.url);
  await dialog.getByRole("button", { name: "Save" }).click();
  const secret = await dialog.locator("code").textContent();
  expect(secret).toMatch(/^whsec_/);
  await dialog.getByRole("link", { name: /Open the endpoint/ }).click();
  await page.getByRole("heading", { level: 1, name: sink.url }).waitFor();

  await page.getByRole("button", { name: "Send a test" }).click();
  await page.getByText(/HTTP 2\d\d after/).waitFor();
  await penstock.send("evt_to_endpoint");
  const row = page.getByRole("row", { name: /evt_to_endpoint/ });
  await row.getByText("succeeded").waitFor();
  await row.getByRole("button", { name: /Show tries/ }).click();
  await page.getByText("The receiver took it").waitFor();
  await expect.poll(() => page.url()).toContain("delivery=");
  await expectAccessible(page);

  await page.getByRole("button", { name: "Rotate secret" }).click();
  await dialog.getByRole("button", { name: "Rotate secret" }).click();
  const rotated = await dialog.locator("code").textContent();
  expect(rotated).toMatch(/^whsec_/);
  expect(rotated).not.toBe(secret);
  await dialog.getByText(/^The secret before signs, too, until /).waitFor();
  expect(await dialog.getByRole("link").count()).toBe(0);
  await dialog.getByRole("button", { name: "Done" }).click();
  await page.getByText(/^The new secret and the one before both sign, until /).waitFor();
});

test("an endpoint that has recovered says when its last error was, and that it is over", async ({
  penstock,
  signIn,
}) => {
  await penstock.cli("endpoints", "add", `${sink.url}/once-down`, "--types", "contact.created");
  const page = await signIn({ role: "viewer" });
  await page.goto(`${penstock.url}/endpoints`);
  await page.getByRole("link", { name: `${sink.url}/once-down` }).click();
  await page.getByText("Nothing was sent to it yet.").waitFor();
  await penstock.send("evt_once_down", {}, "contact.created");
  const error = page.getByText(/ago: HTTP 500: •••/);
  await error.waitFor();
  await error.getByText("It is over: a delivery has succeeded since.").waitFor();
});

test("what an endpoint has missed is recovered, with its count told first", async ({ penstock, signIn }) => {
  await penstock.cli("endpoints", "add", `${sink.url}/gone`, "--description", "one that was away");
  await penstock.send("evt_missed");
  const page = await signIn({ role: "operator" });
  await page.goto(`${penstock.url}/endpoints`);
  await page.getByText("one that was away").waitFor();
  await page.getByRole("link", { name: `${sink.url}/gone` }).click();
  await page.getByText("It has missed 1 delivery.").waitFor();
  await page
    .getByRole("row", { name: /evt_missed/ })
    .getByText("HTTP 410: •••")
    .waitFor();
  isGone = false;
  await page.getByRole("button", { name: "Recover 1" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("To be sent again: 1.").waitFor();
  await dialog.getByRole("button", { name: "Recover 1" }).click();
  await dialog.getByText("1 delivery is sent again.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();
  // 410 had it disabled: what is recovered waits for it to go on.
  await page.getByText("It is disabled: it answered 410 Gone.").waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await page
    .getByRole("row", { name: /evt_missed/ })
    .getByText("succeeded")
    .waitFor();
});

test("a handler is paused and resumed, and a lane goes on once its dead letter is skipped", async ({
  penstock,
  signIn,
}) => {
  const page = await signIn({ role: "operator" });
  await penstock.send("evt_dead", { body: "fail", contactId: "cnt_lane" });
  await penstock.send("evt_behind", { body: "hello", contactId: "cnt_lane" });
  await page.goto(`${penstock.url}/handlers`);
  const lane = page.getByRole("row", { name: /cnt_lane/ });
  await lane.getByText("blocked").waitFor();
  await expectAccessible(page);
  await lane.getByRole("button", { name: "Skip the dead letter" }).click();
  await lane.waitFor({ state: "detached" });
  const deliveries = await penstock.cli("deliveries", "list", "--handler", "ordered", "--json");
  expect(deliveries).toMatch(/"eventId":"evt_behind".*"state":"succeeded"/);

  await page.getByRole("button", { name: "Pause tickets" }).click();
  await page.getByRole("button", { name: "Resume tickets" }).waitFor();
  expect(await penstock.cli("handlers", "list")).toMatch(/^tickets +transactional +paused/m);
  await page.getByRole("button", { name: "Resume tickets" }).click();
  await page.getByRole("button", { name: "Pause tickets" }).waitFor();
});
