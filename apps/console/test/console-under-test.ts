import type { Server } from "node:http";
import { createClient, type Client } from "@penstock/client";
import { parseConsoleConfig } from "@penstock/schemas";
import type { Role } from "@penstock/schemas/admin";
import {
  addPerson,
  createApiToken,
  createEngineStore,
  createSignInLink,
  createStore,
  ensureAdmin,
  migrate,
  type Store,
} from "@penstock/store";
import { createLogger } from "@penstock/telemetry";
import { createTestDatabase, recordPending } from "@penstock/testing";
import { createConsole } from "../src/create-console.ts";

type SourcesOfConsole = Parameters<typeof createConsole>[1]["sources"];

export const MASTER_KEY = `${"k".repeat(43)}=`;

const ENVIRONMENT = { settings: [], unknownSettings: [], exporters: [], refusedFolder: null };

/** A console on a database of its own. */
export interface ConsoleUnderTest {
  readonly url: string;
  readonly databaseUrl: string;
  readonly server: Server;
  readonly store: Store;
  /** What it has logged. */
  readonly lines: readonly string[];
  /** A client with a token of this role. */
  as(role: Role, seesPayloads?: boolean): Promise<Client>;
  /** The address at which a browser signs the admin in, once. */
  signInUrl(): Promise<string>;
  /** Records what was accepted, as a worker does that has no handler. */
  recordEvents(): Promise<void>;
  /** The cookie of somebody who has signed in by a link: the admin, or a person of this role. */
  signIn(role?: Role): Promise<string>;
  close(): Promise<void>;
}

export async function startConsole(
  env: Record<string, string> = {},
  sources: SourcesOfConsole = { list: [], secrets: {} },
): Promise<ConsoleUnderTest> {
  const options = { applicationName: "console-test", maxConnections: 6, sources: ["buzzbip"] };
  const { url: databaseUrl } = await createTestDatabase({
    template: "console",
    migrate: async (template) => {
      const store = createStore({ connectionString: template, ...options });
      await migrate(store);
      await store.close();
    },
  });
  const config = parseConsoleConfig({
    DATABASE_URL: databaseUrl,
    PENSTOCK_MASTER_KEY: MASTER_KEY,
    CONSOLE_HOST: "127.0.0.1",
    CONSOLE_PORT: "0",
    ...env,
  });
  const store = createStore({ connectionString: databaseUrl, ...options });
  const lines: string[] = [];
  const log = createLogger({
    service: "console",
    level: "info",
    destination: { write: (line) => void lines.push(line) },
  });
  const console = createConsole(config, { store, log, version: "0.0.0", sources, environment: ENVIRONMENT });
  const { port } = await console.listen();
  const url = `http://127.0.0.1:${port}`;
  let made = 0;
  return {
    url,
    databaseUrl,
    server: console.server,
    store,
    lines,
    async as(role, seesPayloads = false) {
      const token = { name: `${role} ${++made}`, role, seesPayloads, expiresInDays: null };
      return createClient({ url, token: (await createApiToken(store, token, "test")).value });
    },
    async signInUrl() {
      const admin = (await ensureAdmin(store)) ?? { id: "", email: "" };
      return `${env["CONSOLE_URL"] ?? url}/sign-in#link=${(await createSignInLink(store, admin, 60, "test")).token}`;
    },
    async recordEvents() {
      await recordPending(createEngineStore(store, "test"));
    },
    async signIn(role) {
      const email = `${role}${++made}@example.com`;
      const person =
        role === undefined
          ? await ensureAdmin(store)
          : await addPerson(store, { email, name: role, role, seesPayloads: false }, "test");
      const { token } = await createSignInLink(store, person ?? { id: "", email }, 60, "test");
      const answer = await signInBy(url, token);
      return cookiesOf(answer);
    },
    async close() {
      await console.close(1_000);
      await store.close();
    },
  };
}

/** Signs in by a link as the page does. */
export const signInBy = (url: string, token: string): Promise<Response> =>
  fetch(`${url}/api/v1/auth/sign-in/link`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: url },
    body: JSON.stringify({ token }),
  });

/** What a browser would send back. */
export const cookiesOf = (answer: Response): string =>
  answer.headers
    .getSetCookie()
    .map((cookie) => cookie.split(";")[0])
    .join("; ");
