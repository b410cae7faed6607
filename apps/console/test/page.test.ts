import { readFileSync, statSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { migrateQueue, openQueue, QUEUE_SCHEMA } from "@penstock/queue";
import { parseStoreConfig } from "@penstock/schemas";
import { createApiToken, createQueuePool } from "@penstock/store";
import { createTestRedis } from "@penstock/testing";
import { expect, onTestFinished, test } from "vitest";
import { startConsole } from "./console-under-test.ts";

const app = join(import.meta.dirname, "..");
const web = join(app, "dist", "web");

/** A file of the page, as Vite tells of it. */
interface Chunk {
  readonly file: string;
  readonly imports?: readonly string[];
  readonly isEntry?: boolean;
}

const open = async (env: Record<string, string> = {}) => {
  const console = await startConsole(env);
  onTestFinished(() => console.close());
  return console;
};

/** A request by the name of another host, which fetch does not send. */
const getAs = (host: string, url: string): Promise<{ status: number | undefined; body: string }> =>
  new Promise((resolve, reject) => {
    get(url, { headers: { host } }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (part: string) => (body += part));
      answer.on("end", () => resolve({ status: answer.statusCode, body }));
    }).on("error", reject);
  });

test("the scripts of the first view, compressed, are 200 KiB at most", () => {
  const chunks = JSON.parse(readFileSync(join(web, "manifest.json"), "utf8")) as Record<string, Chunk>;
  const first = new Set<string>();
  const load = (name: string): void => {
    if (first.has(name)) return;
    first.add(name);
    for (const each of chunks[name]?.imports ?? []) load(each);
  };
  for (const [name, { isEntry }] of Object.entries(chunks)) if (isEntry) load(name);
  expect(first.size).toBeGreaterThan(0);
  const entry = [...first];
  for (const page of Object.keys(chunks).filter((name) => name.startsWith("src/pages/"))) {
    first.clear();
    for (const name of [...entry, page]) load(name);
    const bytes = [...first].reduce((sum, name) => sum + statSync(join(web, `${chunks[name]?.file}.br`)).size, 0);
    expect([page, bytes]).toEqual([page, expect.toSatisfy((size: number) => size <= 200 * 1024)]);
  }
});

test("the page is HTML that nobody keeps, without a script in it, and files that are kept for ever", async () => {
  const { url } = await open();
  const page = await fetch(`${url}/events`);
  const html = await page.text();
  expect(page.headers.get("cache-control")).toBe("no-store");
  expect(page.headers.get("content-security-policy")).toMatch(/script-src 'self';/);
  expect(page.headers.get("content-security-policy")).not.toContain("unsafe");
  expect(page.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
  expect(html.match(/<script(?![^>]*\ssrc=)[^>]*>/g)).toEqual(['<script type="application/json" id="settings">']);
  expect(html).toContain('"hasSession":false');
  expect(html).not.toMatch(/https?:\/\//);
  const [, script = ""] = /<script[^>]* src="\.\/(assets\/[^"]+\.js)"/.exec(html) ?? [];
  const file = await fetch(`${url}/${script}`, { headers: { "accept-encoding": "br" } });
  expect([file.status, file.headers.get("content-encoding")]).toEqual([200, "br"]);
  expect(file.headers.get("cache-control")).toMatch(/max-age=31536000.*immutable/);
  expect((await fetch(`${url}/assets/none.js`)).status).toBe(404);
});

test("it can be mounted below a path, whether a proxy leaves that in front or takes it away", async () => {
  const { url } = await open({ CONSOLE_URL: "https://example.com/penstock" });
  for (const path of ["/penstock/events", "/events"]) {
    const html = await (await fetch(`${url}${path}`)).text();
    expect(html).toContain('<base href="/penstock/">');
    expect(html).toContain('"basePath":"/penstock/"');
  }
  expect((await fetch(`${url}/penstock/api/v1/me`)).status).toBe(401);
  for (const [path, to] of [
    ["/penstock", "/penstock/"],
    ["/penstock?a=1", "/penstock/?a=1"],
  ]) {
    const { status, headers } = await fetch(url + path, { redirect: "manual" });
    expect([path, status, headers.get("location")]).toEqual([path, 308, to]);
  }
});

test.each(["postgres", "redis"])(
  "admins look into the queue on %s, below any path, and change nothing",
  async (kind) => {
    const queueUrl = kind === "redis" ? (await createTestRedis()).url : "";
    const { url, store, databaseUrl } = await open({
      QUEUE_URL: queueUrl,
      CONSOLE_URL: "https://example.com/penstock",
    });
    const ask = async (role: "admin" | "operator", path: string, method = "GET"): Promise<Response> => {
      const token = { name: `${role} ${path} ${method}`, role, seesPayloads: false, expiresInDays: null };
      const { value } = await createApiToken(store, token, "test");
      return fetch(`${url}${path}`, { method, headers: { authorization: `Bearer ${value}` } });
    };
    const queues = "/penstock/queue/api/queues?activeQueue=events";
    if (kind === "postgres") {
      // Until its tables are there it says what to do, and then it works.
      const answer = await ask("admin", queues);
      expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining("penstock migrate")]);
    }
    const { queue: config } = parseStoreConfig({ DATABASE_URL: databaseUrl, QUEUE_URL: queueUrl });
    const pools = (connectionString = databaseUrl, maxConnections: number) =>
      createQueuePool({ connectionString, schema: QUEUE_SCHEMA, maxConnections, applicationName: "console-test" });
    await migrateQueue(config, pools);
    const queue = openQueue(config, pools);
    onTestFinished(() => queue.close());
    await queue.add([[7]]);
    expect(await (await ask("admin", queues)).json()).toMatchObject({
      queues: [
        { name: "events", readOnlyMode: true, counts: { waiting: 1 }, jobs: [{ id: "b7", data: { batches: [7] } }] },
      ],
    });
    for (const path of ["/penstock/queue", "/queue/queue/events"]) {
      const page = await ask("admin", path);
      expect(page.headers.get("content-security-policy")).toMatch(/script-src 'self';/);
      expect(await page.text()).toContain('<base href="/penstock/queue/" />');
    }
    for (const path of ["pause", "empty", "clean/waiting", "b7/clean"]) {
      expect((await ask("admin", `/queue/api/queues/events/${path}`, "PUT")).status).toBe(405);
    }
    expect((await ask("operator", queues)).status).toBe(403);
    expect((await fetch(`${url}${queues}`)).status).toBe(401);
  },
);

test("without CONSOLE_URL it answers by names of its own machine only", async () => {
  const { url } = await open();
  const { port } = new URL(url);
  expect((await getAs(`localhost:${port}`, url)).status).toBe(200);
  const foreign = await getAs("rebound.example", url);
  expect(foreign.status).toBe(421);
  expect(foreign.body).toContain("Set CONSOLE_URL");
});
