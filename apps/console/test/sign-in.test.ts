import { createSignInLink, ensureAdmin, listAudit } from "@penstock/store";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type ConsoleUnderTest, cookiesOf, signInBy, startConsole } from "./console-under-test.ts";

let console: ConsoleUnderTest;
beforeAll(async () => {
  console = await startConsole();
});
afterAll(() => console.close());

const post = (path: string, body: unknown, headers: Record<string, string> = {}, method = "POST"): Promise<Response> =>
  fetch(`${console.url}/api/v1${path}`, {
    method,
    headers: { "content-type": "application/json", origin: console.url, ...headers },
    body: JSON.stringify(body),
  });

const me = (cookie: string): Promise<Response> => fetch(`${console.url}/api/v1/me`, { headers: { cookie } });

test("a one-time link signs in once, by a cookie that scripts and other sites cannot use", async () => {
  const { token } = await createSignInLink(console.store, await ensureAdmin(console.store), 60, "test");
  const answer = await signInBy(console.url, token);
  expect(answer.status).toBe(200);
  const [cookie = ""] = answer.headers.getSetCookie();
  expect(cookie).toMatch(/^penstock\.session_token=.*HttpOnly.*SameSite=Strict/i);
  expect(await (await me(cookiesOf(answer))).json()).toMatchObject({
    email: "admin@penstock.localhost",
    role: "admin",
  });
  const again = await signInBy(console.url, token);
  expect([again.status, await again.json()]).toMatchObject([401, { title: "This link was used, or has run out" }]);
  expect(console.lines.join("")).not.toContain(token);
});

test("a link that has run out does not sign in", async () => {
  const { token } = await createSignInLink(console.store, await ensureAdmin(console.store), -1, "test");
  expect((await signInBy(console.url, token)).status).toBe(401);
});

test.each(["the first admin", "operator"] as const)(
  "a password of %s is set, signs in, and ends other sessions when it is changed; a wrong one does not sign in",
  async (who) => {
    const cookie = await console.signIn(who === "operator" ? who : undefined);
    const { email } = (await (await me(cookie)).json()) as { email: string };
    const first = { password: "a password of some length" };
    expect((await post("/me/password", first, { cookie }, "PUT")).status).toBe(204);
    const wrong = await post("/auth/sign-in/email", { email, password: "not the password at all" });
    expect(wrong.status).toBe(401);
    const signedIn = await post("/auth/sign-in/email", { email, ...first });
    expect([signedIn.status, await signedIn.json()]).toEqual([200, { ok: true }]);
    const other = cookiesOf(signedIn);
    const without = await post("/me/password", { password: "another long password" }, { cookie: other }, "PUT");
    expect([without.status, await without.json()]).toMatchObject([
      400,
      { title: "The current password is needed to change it" },
    ]);
    const change = { password: "another long password", current: first.password };
    expect((await post("/me/password", change, { cookie: other }, "PUT")).status).toBe(204);
    expect((await me(cookie)).status).toBe(401);
    expect((await post("/auth/sign-in/email", { email, ...first })).status).toBe(401);
    const log = await listAudit(console.store, { target: email, action: "people.password" });
    expect(log.map(({ actor, detail }) => ({ actor, detail }))).toEqual([
      { actor: email, detail: { changed: true } },
      { actor: email, detail: { set: true } },
    ]);
    expect(JSON.stringify(log)).not.toContain(change.password);
  },
);

test("who tries too often to sign in has to wait, though the password be right then", async () => {
  const limited = await startConsole();
  onTestFinished(() => limited.close());
  const attempt = (): Promise<Response> =>
    fetch(`${limited.url}/api/v1/auth/sign-in/email`, {
      method: "POST",
      headers: { "content-type": "application/json", origin: limited.url },
      body: JSON.stringify({ email: "ada@example.com", password: "not the password at all" }),
    });
  const statuses: number[] = [];
  while (!statuses.includes(429) && statuses.length < 30) statuses.push((await attempt()).status);
  expect(statuses).toEqual([...Array<number>(10).fill(401), 429]);
  const refused = await attempt();
  expect([refused.status, Number(refused.headers.get("retry-after"))]).toEqual([429, expect.any(Number)]);
});

test("signing out ends the session itself, not only its cookie", async () => {
  const cookie = await console.signIn();
  expect((await me(cookie)).status).toBe(200);
  expect((await post("/auth/sign-out", {}, { cookie })).status).toBe(200);
  expect((await me(cookie)).status).toBe(401);
});

test("nobody can sign up", async () => {
  const body = { email: "me@example.com", password: "a password of some length", name: "Me" };
  expect((await post("/auth/sign-up/email", body)).status).toBe(404);
});

test("a page of somebody else cannot write with a person's cookie, nor by a name that is not the console's", async () => {
  const cookie = await console.signIn();
  const foreign = await post("/me", { theme: "dark" }, { cookie, origin: "https://evil.example" }, "PATCH");
  expect(foreign.status).toBe(403);
  const nameless = await fetch(`${console.url}/api/v1/me`, {
    method: "PATCH",
    headers: { "content-type": "application/json", cookie },
    body: JSON.stringify({ theme: "dark" }),
  });
  expect(nameless.status).toBe(403);
  expect(await (await me(cookie)).json()).toMatchObject({ theme: "system" });
  const ours = await post("/me", { theme: "dark" }, { cookie }, "PATCH");
  expect(await ours.json()).toMatchObject({ theme: "dark" });
});
