import { createClient } from "@penstock/client";
import { adminRoutes, ROLES, type Routes } from "@penstock/schemas/admin";
import { createApiToken, listApiTokens, revokeApiToken } from "@penstock/store";
import type { Express } from "express";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConsoleUnderTest, startConsole } from "./console-under-test.ts";

let console: ConsoleUnderTest;
const tokens = new Map<string, string>();
beforeAll(async () => {
  console = await startConsole();
  for (const role of ROLES) {
    const wanted = { name: role, role, seesPayloads: false, expiresInDays: null };
    tokens.set(role, (await createApiToken(console.store, wanted, "test")).value);
  }
});
afterAll(() => console.close());

/** Asks a route with nothing in it: who may not call it is told so before that is looked at. */
async function ask(route: string, token?: string): Promise<{ status: number; title: string }> {
  const [method = "", path = ""] = route.split(" ");
  const gone = new AbortController();
  const answer = await fetch(`${console.url}/api/v1${path.replaceAll(/\{\w+\}/g, "none")}`, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(method !== "GET" && { "content-type": "application/json" }),
    },
    ...(method !== "GET" && { body: "{}" }),
    signal: gone.signal,
  });
  const problem = answer.headers.get("content-type")?.includes("problem");
  const { title = "" } = problem ? ((await answer.json()) as { title: string }) : {};
  gone.abort(); // of an answer that goes on
  return { status: answer.status, title };
}

describe.each(Object.entries(adminRoutes as Routes))("%s", (route, spec) => {
  test("is for its role and those above it, and for nobody without credentials", async () => {
    if (spec.role === "anyone") {
      expect((await ask(route)).title).not.toBe("Nobody is signed in");
      return;
    }
    expect(await ask(route)).toEqual({ status: 401, title: "Nobody is signed in" });
    expect(await ask(route, "pst_wrong")).toEqual({ status: 401, title: "Nobody is signed in" });
    for (const role of ROLES) {
      const { status, title } = await ask(route, tokens.get(role));
      const may = ROLES.indexOf(role) >= ROLES.indexOf(spec.role);
      if (!may) expect([role, status, title]).toEqual([role, 403, `This takes the role ${spec.role}`]);
      else if (spec.payloads === "needed") expect([status, title]).toEqual([403, "This shows payloads"]);
      else
        expect([role, title]).not.toEqual([role, expect.stringMatching(/^(This takes the role|Nobody is signed in)/)]);
    }
  });
});

interface Layer {
  readonly route?: { readonly path: string; readonly methods: Readonly<Record<string, boolean>> };
  readonly handle?: { readonly stack?: readonly Layer[] };
}

const routesOf = (layers: readonly Layer[]): string[] =>
  layers.flatMap(({ route, handle }) =>
    route
      ? Object.keys(route.methods).map((method) => `${method.toUpperCase()} ${route.path}`)
      : routesOf(handle?.stack ?? []),
  );

test("the server has no route that is not in the table, but for the page and what describes the API", () => {
  const [app] = console.server.listeners("request") as [Express];
  const served = routesOf((app.router as unknown as { stack: Layer[] }).stack);
  const listed = Object.keys(adminRoutes).map((route) => route.replaceAll(/\{(\w+)\}/g, ":$1"));
  expect(served.toSorted()).toEqual([...listed, "GET /openapi.json", "GET /api/v1/docs", "GET /{*path}"].toSorted());
});

test("the description of the API is for those who are signed in", async () => {
  const describedTo = (token?: string): Promise<Response> =>
    fetch(`${console.url}/api/v1/openapi.json`, { headers: token ? { authorization: `Bearer ${token}` } : {} });
  expect((await describedTo()).status).toBe(401);
  expect(await (await describedTo(tokens.get("viewer"))).json()).toMatchObject({ openapi: "3.1.0" });
});

test("a token is refused once it is revoked, and its value is stored nowhere", async () => {
  const wanted = { name: "short-lived", role: "viewer", seesPayloads: false, expiresInDays: 1 } as const;
  const { value, token } = await createApiToken(console.store, wanted, "test");
  const { call } = createClient({ url: console.url, token: value });
  expect(await call("GET /me")).toMatchObject({ kind: "token", role: "viewer" });
  expect(JSON.stringify(await listApiTokens(console.store))).not.toContain(value);
  await revokeApiToken(console.store, token.id, "test");
  await expect(call("GET /me")).rejects.toMatchObject({ status: 401 });
});

test("a write with an Idempotency-Key is done once, and another one with the same key is refused", async () => {
  const { call } = createClient({ url: console.url, token: tokens.get("admin") ?? "" });
  const make = (url: string, idempotencyKey: string) =>
    call("POST /endpoints", { body: { url, types: ["contact.created"] }, idempotencyKey });
  // Its answer holds a secret, which is not kept to be told again.
  const { id } = await make("https://8.8.8.8/once", "first");
  await expect(make("https://8.8.8.8/once", "first")).rejects.toMatchObject({
    status: 409,
    message: "This was done before, and its answer held a secret that is not kept",
  });
  await expect(make("https://8.8.8.8/other", "first")).rejects.toMatchObject({
    status: 422,
    message: "This Idempotency-Key was used for another request",
  });
  expect((await call("GET /endpoints", { query: {} })).items.map((endpoint) => endpoint.id)).toEqual([id]);

  const path = { id };
  const pause = (idempotencyKey: string) => call("POST /endpoints/{id}/pause", { path, idempotencyKey });
  const first = await pause("pause");
  await call("POST /endpoints/{id}/resume", { path });
  expect(await pause("pause")).toEqual(first);
  expect(await call("GET /endpoints/{id}", { path })).toMatchObject({ status: "active", pausedAt: null });
  // Keys are the caller's own, and a refusal is not kept.
  const missing = { id: "ep_0000000000000000" };
  for (let time = 0; time < 2; time++) {
    const asked = call("POST /endpoints/{id}/pause", { path: missing, idempotencyKey: "missing" });
    await expect(asked).rejects.toMatchObject({ status: 404 });
  }
  const operator = createClient({ url: console.url, token: tokens.get("operator") ?? "" });
  expect(await operator.call("POST /endpoints/{id}/pause", { path, idempotencyKey: "pause" })).toMatchObject({
    status: "paused",
  });
});

test("a write whose first request is still under way is not done a second time", async () => {
  const caller = "token:admin";
  const { call } = createClient({ url: console.url, token: tokens.get("admin") ?? "" });
  const asked = () => call("DELETE /handlers/{name}", { path: { name: "nobody" }, idempotencyKey: "slow" });
  await expect(asked()).rejects.toMatchObject({ status: 404 });
  await console.store.pool.query(
    `INSERT INTO penstock.idempotency_keys (caller, key, request_hash)
     VALUES ($1, 'slow', sha256(convert_to($2, 'UTF8')))`,
    [caller, JSON.stringify(["DELETE /handlers/{name}", { path: { name: "nobody" } }])],
  );
  await expect(asked()).rejects.toMatchObject({
    status: 409,
    message: "The request with this Idempotency-Key is still under way",
  });
});
