import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { addPerson, listAudit } from "@penstock/store";
import { freePort } from "@penstock/testing";
import { Provider } from "oidc-provider";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ConsoleUnderTest, startConsole } from "./console-under-test.ts";

let console: ConsoleUnderTest;
let provider: Server;
beforeAll(async () => {
  const port = await freePort();
  provider = createServer();
  await new Promise<void>((resolve) => provider.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  const oidc = new Provider(issuer, {
    clients: [
      {
        client_id: "penstock",
        client_secret: "a-secret-of-the-client",
        redirect_uris: [`http://127.0.0.1:${port}/api/v1/auth/callback/oidc`],
      },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    conformIdTokenClaims: false,
    // Whatever name somebody signs in by is their address.
    findAccount: (_ctx, sub) => ({
      accountId: sub,
      claims: () => ({ sub, email: sub, email_verified: !sub.startsWith("unverified"), name: sub }),
    }),
  });
  const answer = oidc.callback();
  provider.on("request", (req, res) => void answer(req, res));
  console = await startConsole({
    CONSOLE_PORT: String(port),
    CONSOLE_OIDC_ISSUER: issuer,
    CONSOLE_OIDC_CLIENT_ID: "penstock",
    CONSOLE_OIDC_CLIENT_SECRET: "a-secret-of-the-client",
  });
});
afterAll(async () => {
  await console.close();
  await new Promise((resolve) => provider.close(resolve));
});

/** A browser, as far as it follows addresses, keeps cookies by origin and sends the provider's forms. */
function createBrowser() {
  const jars = new Map<string, Map<string, string>>();
  const jarOf = (url: string): Map<string, string> => {
    const { origin } = new URL(url);
    const jar = jars.get(origin) ?? new Map<string, string>();
    jars.set(origin, jar);
    return jar;
  };
  const request = async (url: string, init: RequestInit = {}): Promise<Response> => {
    const jar = jarOf(url);
    const cookie = Array.from(jar, ([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(url, {
      ...init,
      redirect: "manual",
      headers: { ...(init.headers as Record<string, string> | undefined), cookie },
    });
    for (const each of answer.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(each) ?? [];
      jar.set(name, value);
    }
    return answer;
  };
  return { request };
}

/** Signs in by the provider as this address; returns where it ended, and who the console says it is. */
async function signInAs(email: string): Promise<{ end: URL; me: { status: number; email?: string } }> {
  const { request } = createBrowser();
  const begun = await request(`${console.url}/api/v1/auth/sign-in/oidc`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: console.url },
    body: JSON.stringify({ to: "/settings" }),
  });
  let { url } = (await begun.json()) as { url: string };
  let answer = await request(url);
  for (let step = 0; step < 20; step++) {
    const location = answer.headers.get("location");
    if (location !== null) {
      url = new URL(location, url).href;
      if (url.startsWith(console.url) && !url.includes("/api/v1/")) break;
      answer = await request(url);
      continue;
    }
    const html = await answer.text();
    const [, action = ""] = /<form[^>]* action="([^"]+)"/.exec(html) ?? [];
    const [, prompt = ""] = /name="prompt" value="([^"]+)"/.exec(html) ?? [];
    expect([action, html]).not.toEqual(["", html]);
    url = new URL(action, url).href;
    const form = new URLSearchParams({ prompt, login: email, password: "any" });
    answer = await request(url, { method: "POST", body: form });
  }
  const me = await request(`${console.url}/api/v1/me`);
  const { email: found } = (await me.json()) as { email?: string };
  return { end: new URL(url), me: { status: me.status, ...(found !== undefined && { email: found }) } };
}

test("somebody who was invited signs in by the provider of identities, and comes back where they wanted to go", async () => {
  const ada = { email: "ada@example.com", name: "Ada", role: "operator", seesPayloads: false } as const;
  await addPerson(console.store, ada, "test");
  for (let time = 0; time < 2; time++) {
    const { end, me } = await signInAs("ada@example.com");
    expect([end.pathname, end.search, me]).toEqual(["/settings", "", { status: 200, email: "ada@example.com" }]);
  }
  const { rows } = await console.store.pool.query<{ text: string }>(
    "SELECT coalesce(access_token, '') || coalesce(refresh_token, '') AS text FROM penstock.credentials",
  );
  expect(rows).toHaveLength(1);
  const log = await listAudit(console.store, { target: ada.email, action: "people.sign-in-method" });
  expect(log).toMatchObject([{ actor: ada.email, detail: { added: "oidc" } }]);
});

test("whom nobody invited does not get in, though the provider knows them, and is told why", async () => {
  const { end, me } = await signInAs("eve@example.com");
  expect(me.status).toBe(401);
  expect([end.pathname, end.searchParams.get("error")]).toEqual(["/sign-in", "signup_disabled"]);
});
