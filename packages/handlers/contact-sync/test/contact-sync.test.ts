import { env } from "@penstock/handler-sdk";
import { outsideServer, testHandler } from "@penstock/handler-testing";
import { expect, onTestFinished, test, vi } from "vitest";
import contactSync from "../src/index.ts";

const AUTHORIZATION = "Bearer hunter2";

function sync(url: string, options: Partial<Parameters<typeof contactSync>[0]> = {}) {
  vi.stubEnv("CRM_AUTHORIZATION", AUTHORIZATION);
  onTestFinished(() => void vi.unstubAllEnvs());
  const headers = { authorization: env("CRM_AUTHORIZATION") };
  return contactSync({ url: `${url}/contacts/{contactId}`, headers, timeoutMs: 1_000, ...options });
}

test("what a contact's event says is written under its id, once; and anew when it is replayed again", async () => {
  await using crm = await outsideServer();
  await using t = await testHandler(sync(crm.url));
  const { id } = await t.send("contact.updated", {
    createdAt: "2026-06-01T15:05:30Z",
    data: { contactId: "a/../b?c", phone: null, fields: { city: "Tunis" } },
  });
  await t.settle();
  await t.replay(id);
  await t.settle();
  expect(crm.requests).toHaveLength(1);
  expect(crm.requests[0]).toMatchObject({
    method: "PUT",
    path: "/contacts/a%2F..%2Fb%3Fc",
    headers: { authorization: AUTHORIZATION, "content-type": "application/json" },
  });
  expect(JSON.parse(crm.requests[0]?.body ?? "")).toEqual({
    contactId: "a/../b?c",
    name: "Amira Ben Salah",
    email: "amira@example.com",
    tags: ["customer", "vip"],
    fields: { city: "Tunis" },
    updatedAt: "2026-06-01T15:05:30.000Z",
  });
  await t.replay(id, { again: true });
  await t.settle();
  const keys = crm.requests.map(({ headers }) => headers["idempotency-key"]);
  expect(new Set(keys).size).toBe(2);
  expect(await t.story()).not.toContain("hunter2");
});

test("whoever is erased is deleted there, in each source once; what is not there is fine, and a refusal fails", async () => {
  await using crm = await outsideServer();
  await using t = await testHandler(sync(`${crm.url}/{source}`));
  const sources = ["buzzbip", "chat"];
  const ada = { kind: "subject", value: "cnt_1", path: null, sources } as const;
  crm.next({ status: 204 }, { status: 404 });
  await t.erase(ada);
  expect(crm.requests).toMatchObject([
    { method: "DELETE", path: "/buzzbip/contacts/cnt_1", headers: { authorization: AUTHORIZATION } },
    { method: "DELETE", path: "/chat/contacts/cnt_1" },
  ]);
  crm.next({ status: 500 });
  await expect(t.erase(ada)).rejects.toThrow("answered the DELETE of a contact with 500");
  // A CRM knows contacts by their ids.
  await t.erase({ ...ada, kind: "value", value: "+393331234567" });
  expect(crm.requests).toHaveLength(3);
  await using without = await testHandler(sync(crm.url, { erase: null }));
  await expect(without.erase("cnt_1")).rejects.toThrow("has no erase");
});

test("what can help is tried again, when the API says or on schedule, and what cannot is dead at once", async () => {
  await using crm = await outsideServer();
  const { host } = new URL(crm.url);
  await using t = await testHandler(sync(crm.url));
  const cases = [
    [{ status: 503, headers: { "retry-after": "120" } }, "503", 120_000],
    [{ status: 429, headers: { "retry-after": new Date(Date.now() + 600_000).toUTCString() } }, "429", "a date"],
    [{ status: 429, headers: { "retry-after": "soon" } }, "429", 5_000],
    [{ status: 500, body: "x".repeat(10_000) }, `${host} answered with 500`, 5_000],
    ["reset", `${host} cannot be reached`, 5_000],
    ["hang", "took longer than its timeoutMs of 1000", 5_000],
    [{ status: 404, body: "not_found" }, `${host} answered with 404 (not_found)`, null],
    [{ status: 422, body: '{"email":"amira@example.com"}' }, `${host} answered with 422`, null],
    [{ status: 302, headers: { location: "/elsewhere" } }, `${host} answered with 302`, null],
  ] as const;
  for (const [at] of cases.entries()) await t.send("contact.created", { data: { contactId: `cnt_${at}` } });
  await t.send("contact.created", { data: { contactId: ".." } });
  crm.next(...cases.map(([answer]) => answer));
  await t.settle();
  const deliveries = await t.deliveries();
  for (const [at, [, error, wait]] of cases.entries()) {
    const { retryInMs, state, error: why } = deliveries[at] ?? {};
    expect(why).toContain(error);
    expect(why?.length).toBeLessThan(120);
    expect(state).toBe(wait === null ? "dead" : "retrying");
    if (wait !== "a date") expect(retryInMs).toBe(wait);
    else expect(Math.abs((retryInMs ?? 0) - 600_000)).toBeLessThan(60_000);
  }
  expect(deliveries.at(-1)).toMatchObject({
    state: "dead",
    error: expect.stringContaining("no URL can hold") as string,
  });

  await t.advance("11m");
  const states = (await t.deliveries()).map(({ state, attempts }) => `${state} ${attempts}`);
  expect(states).toEqual([...Array<string>(6).fill("succeeded 2"), ...Array<string>(4).fill("dead 1")]);
  for (const [at] of cases.entries()) {
    const keys = crm.requests
      .filter(({ path }) => path.endsWith(`_${at}`))
      .map(({ headers }) => headers["idempotency-key"]);
    expect([keys.length, new Set(keys).size]).toEqual([at < 6 ? 2 : 1, 1]);
  }
  const { rateLimit } = sync(crm.url);
  expect(rateLimit).toEqual({ max: 10, perMs: 1_000 });
});

test.each([
  { order: "newest-wins" as const, bodies: ["old", "new"], states: ["skipped", "succeeded"] },
  { order: "strict" as const, bodies: ["old", "old", "new"], states: ["succeeded", "succeeded"] },
])("while the API is down, order $order is kept", async ({ order, bodies, states }) => {
  await using crm = await outsideServer();
  await using t = await testHandler(sync(crm.url, { order, toRecord: ({ data }) => ({ called: data.name }) }));
  crm.next({ status: 503 });
  await t.send("contact.created", { createdAt: "2026-06-01T10:00:00Z", data: { name: "old" } });
  await t.settle();
  await t.send("contact.updated", { createdAt: "2026-06-01T10:00:01Z", data: { name: "new" } });
  await t.settle();
  await t.advance("5s");
  expect(crm.requests.map(({ body }) => JSON.parse(body) as unknown)).toEqual(bodies.map((called) => ({ called })));
  expect((await t.deliveries()).map(({ state }) => state)).toEqual(states);
});

test("all that is wrong with the options is told at once, without values", () => {
  const url = env("CRM_URL");
  vi.stubEnv("CRM_URL", "https://user:hunter2@crm.example/contacts/{contactId}");
  onTestFinished(() => void vi.unstubAllEnvs());
  const wrong = {
    url,
    headers: { "x-key": env("CRM_KEY"), "x y": "a" },
    order: "oldest",
    rateLimit: { max: 0 },
    tiemoutMs: 1,
  };
  let message = "";
  try {
    contactSync(wrong as never);
  } catch (error) {
    message = String(error);
  }
  expect(message).not.toContain("hunter2");
  for (const part of [
    "`url` (CRM_URL) must be",
    "`headers.x-key`: CRM_KEY is not set",
    "`headers.x y`",
    "`order` must be",
  ]) {
    expect(message).toContain(part);
  }
  for (const part of ["`rateLimit.max` must be", "`rateLimit.perMs` must be", "tiemoutMs"])
    expect(message).toContain(part);
});
