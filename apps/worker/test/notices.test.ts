import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { createServer } from "node:http";
import { eventually, moveToDay, startS3 } from "@penstock/testing";
import { SMTPServer } from "smtp-server";
import { afterEach, beforeEach, expect, test } from "vitest";
import plugged from "./trial/penstock.config.ts";
import { createWorkplace, PATIENCE_MS, type Workplace } from "./worker-under-test.ts";

const configPath = new URL("./trial/penstock.config.ts", import.meta.url).pathname;
const soon = { timeoutMs: PATIENCE_MS, intervalMs: 50 };

let workplace: Workplace;
beforeEach(async () => {
  workplace = await createWorkplace({ kind: "postgres", template: "notices", plugged, configPath });
  return () => workplace.close();
});

const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

/** A chat's webhook: what was posted to each path. It refuses the first `refuses` posts. */
async function startChat(
  refuses = 0,
): Promise<{ url: string; posts: { path: string; body: string }[]; refused: () => number }> {
  const posts: { path: string; body: string }[] = [];
  let refused = 0;
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      if (refused < refuses) {
        refused++;
        return response.writeHead(503).end("later");
      }
      posts.push({ path: request.url ?? "", body });
      return response.writeHead(200).end("ok");
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, posts, refused: () => refused };
}

/** A mail server without TLS: the mails that it took, and to whom. */
async function startMailServer(): Promise<{ url: string; mails: { to: string[]; text: string }[] }> {
  const mails: { to: string[]; text: string }[] = [];
  const server = new SMTPServer({
    authOptional: true,
    hideSTARTTLS: true,
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const to = session.envelope.rcptTo.map(({ address }) => address);
        mails.push({ to, text: Buffer.concat(chunks).toString() });
        callback();
      });
    },
  });
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  closing.push(() => server.close(() => undefined));
  return { url: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`, mails };
}

/** Has an event of today end as a dead letter of each of these errors. */
async function addDead(...errorClasses: string[]): Promise<void> {
  await workplace.store.pool.query(
    `WITH given AS (
       SELECT error_class, nextval('penstock.batch_number') * 1024 AS seq, (now() AT TIME ZONE 'UTC')::date AS day
         FROM unnest($1::text[]) AS error_class
     ), came AS (
       INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
       SELECT seq, day, now(), 'buzzbip', 'evt_' || seq, 'x', '{}', 0, 0 FROM given
     ), died AS (
       INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts)
       SELECT day, seq, 'inbox', 'dead', 1 FROM given
     )
     INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class, error_message, worker)
     SELECT day, seq, 'inbox', 1, now(), now(), 'failed', error_class, 'no <name> & no |id|', 'w' FROM given`,
    [errorClasses],
  );
}

async function channels(): Promise<{ channel: string; failures: number; last_error: string | null; waits: boolean }[]> {
  const { rows } = await workplace.store.pool.query<{
    channel: string;
    failures: number;
    last_error: string | null;
    waits: boolean;
  }>("SELECT channel, failures, last_error, due_at > now() AS waits FROM penstock.issue_channels ORDER BY channel");
  return rows;
}

const endWaits = () => workplace.store.pool.query("UPDATE penstock.issue_channels SET due_at = now()");

test("people are told of an issue at once, and of those that come soon after in one message", async () => {
  const chat = await startChat();
  const mail = await startMailServer();
  await workplace.start({
    NOTIFY_SLACK_URL: `${chat.url}/text`,
    NOTIFY_TEAMS_URL: `${chat.url}/card`,
    NOTIFY_SMTP_URL: mail.url,
    NOTIFY_MAIL_FROM: "penstock@example.com",
    NOTIFY_MAIL_TO: "ada@example.com,ops@example.com",
    CONSOLE_URL: "https://penstock.example.com",
    OUTBOUND_ALLOW: "127.0.0.0/8",
  });
  await eventually(async () => expect(await channels()).toHaveLength(3), soon);
  await addDead("TypeError");
  await eventually(() => expect([chat.posts.length, mail.mails.length]).toEqual([2, 1]), soon);

  const [plain, card] = ["/text", "/card"].map((path) => chat.posts.find((post) => post.path === path)?.body ?? "");
  expect(JSON.parse(plain!)).toEqual({
    text: expect.stringMatching(
      /^\*Penstock: Dead letters of inbox: TypeError: no &lt;name&gt; &amp; no \|id\|\*\n• <https:\/\/penstock\.example\.com\/issues\/\d+\|#\d+ Dead letters of inbox: .*>$/,
    ),
  });
  expect(JSON.parse(card!)).toMatchObject({
    type: "message",
    attachments: [{ contentType: "application/vnd.microsoft.card.adaptive", content: { type: "AdaptiveCard" } }],
  });
  expect(mail.mails[0]?.to).toEqual(["ada@example.com", "ops@example.com"]);
  expect(mail.mails[0]?.text).toContain("Subject: Penstock: Dead letters of inbox: TypeError");

  await eventually(async () => expect((await channels()).map(({ waits }) => waits)).toEqual([true, true, true]), soon);
  await addDead("RangeError", "SyntaxError", "URIError");
  await eventually(async () => {
    const { rowCount } = await workplace.store.pool.query("SELECT FROM penstock.issue_notices");
    expect(rowCount).toBe(4);
  }, soon);
  expect([chat.posts.length, mail.mails.length]).toEqual([2, 1]);
  await endWaits();
  await eventually(() => expect([chat.posts.length, mail.mails.length]).toEqual([4, 2]), soon);
  expect(mail.mails[1]?.text).toContain("Subject: Penstock: 3 issues need a person");
  for (const name of ["RangeError", "SyntaxError", "URIError"]) expect(mail.mails[1]?.text).toContain(name);
});

test("a chat that refuses a message gets it later, and a channel that is new is not told what was before", async () => {
  const first = await workplace.start();
  await addDead("TypeError");
  await eventually(async () => {
    const { rowCount } = await workplace.store.pool.query("SELECT FROM penstock.issue_notices");
    expect(rowCount).toBe(1);
  }, soon);
  first.kill();
  await first.exited;

  const chat = await startChat(1);
  await workplace.start({ NOTIFY_SLACK_URL: chat.url, OUTBOUND_ALLOW: "127.0.0.0/8" });
  await eventually(async () => expect(await channels()).toHaveLength(1), soon);
  await addDead("RangeError");
  await eventually(
    async () => expect(await channels()).toMatchObject([{ failures: 1, last_error: "HTTP 503: later", waits: true }]),
    soon,
  );
  await endWaits();
  await eventually(() => expect(chat.posts).toHaveLength(1), soon);
  expect(chat.posts[0]?.body).toContain("RangeError");
  expect(chat.posts[0]?.body).not.toContain("TypeError");
  await eventually(async () => expect(await channels()).toMatchObject([{ failures: 0, last_error: null }]), soon);
});

test("a webhook in a private network has to be allowed", async () => {
  const chat = await startChat();
  await workplace.start({ NOTIFY_SLACK_URL: chat.url });
  await eventually(async () => expect(await channels()).toHaveLength(1), soon);
  await addDead("TypeError");
  await eventually(
    async () => expect(await channels()).toMatchObject([{ last_error: expect.stringMatching(/^REFUSED_ADDRESS: /) }]),
    soon,
  );
  expect(chat.posts).toEqual([]);
});

test("a worker deletes what is due, by terms that have been told for an hour", async () => {
  const { store } = workplace;
  const worker = await workplace.start();
  await worker.waitForLine(/events are kept for 30 days/, PATIENCE_MS);
  const ids = await workplace.add(["hello"]);
  await eventually(async () => expect(await workplace.states()).not.toEqual([]), soon);
  const [{ day } = { day: "" }] = (
    await store.pool.query<{ day: string }>("SELECT ((now() AT TIME ZONE 'UTC')::date - 40)::text AS day")
  ).rows;
  await moveToDay(store.pool, day, ids);
  const events = async (): Promise<number> =>
    (await store.pool.query("SELECT FROM penstock.events WHERE day = $1", [day])).rowCount ?? 0;

  // Terms that are new delete nothing yet.
  worker.kill();
  await worker.exited;
  await workplace.start();
  expect(await events()).toBe(1);
  await store.pool.query("UPDATE penstock.retention_policy SET told_at = now() - interval '2 hours'");
  const last = await workplace.start();
  await eventually(async () => expect(await events()).toBe(0), soon);
  await last.waitForLine(/what was due was deleted/, PATIENCE_MS);
  expect((await store.pool.query("SELECT why, went::int FROM penstock.retention_log")).rows).toEqual([
    { why: "age", went: 1 },
  ]);
});

test("a day that is over is archived by one of several workers, and goes only then", async () => {
  const { store } = workplace;
  const s3 = await startS3();
  const archive = { ...s3.env, ARCHIVE_URL: `s3://${s3.bucket}/days`, ARCHIVE_S3_ENDPOINT: s3.endpoint };
  const worker = await workplace.start(archive);
  const ids = await workplace.add(["hello"]);
  await eventually(async () => expect(await workplace.states()).not.toEqual([]), soon);
  await moveToDay(store.pool, "2020-01-10", ids);
  worker.kill();
  await worker.exited;
  await store.pool.query("UPDATE penstock.retention_policy SET told_at = now() - interval '2 hours'");
  const events = async (): Promise<number> =>
    (await store.pool.query("SELECT FROM penstock.events WHERE day = '2020-01-10'")).rowCount ?? 0;

  // The archive cannot be written: the day stays.
  const blind = await workplace.start({ ...archive, ARCHIVE_URL: "s3://no-such-bucket/days" });
  await blind.waitForLine(/archiving failed, it is tried again/, PATIENCE_MS);
  await store.pool.query("UPDATE penstock.retention_policy SET told_at = now() - interval '2 hours'");
  const told = await workplace.start({ ...archive, ARCHIVE_URL: "s3://no-such-bucket/days" });
  await told.waitForLine(/a day that is due is kept for now/, PATIENCE_MS);
  expect(await events()).toBe(1);
  for (const one of [blind, told]) {
    one.kill();
    await one.exited;
  }

  await Promise.all([workplace.start(archive), workplace.start(archive)]);
  await eventually(async () => {
    const { rows } = await store.pool.query(
      "SELECT day::text, events::int, verified_at IS NOT NULL AS verified FROM penstock.archives",
    );
    expect(rows).toEqual([{ day: "2020-01-10", events: 1, verified: true }]);
  }, soon);
  expect(await events()).toBe(1);
  await store.pool.query("UPDATE penstock.retention_policy SET told_at = now() - interval '2 hours'");
  await workplace.start(archive);
  await eventually(async () => expect(await events()).toBe(0), soon);
});
