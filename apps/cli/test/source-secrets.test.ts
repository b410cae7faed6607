import { makeEvent } from "@penstock/schemas/fixtures";
import { signBuzzBip } from "@penstock/sources";
import { eventually } from "@penstock/testing";
import { beforeAll, expect, test } from "vitest";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

const FIRST = "whsec_of_the_environment";
let penstock: Penstock;
let webhook: string;
beforeAll(async () => {
  penstock = await createPenstock({ BUZZBIP_SIGNING_SECRETS: FIRST });
  const { stdout } = await penstock.start();
  webhook = /http:\S+\/webhooks\/buzzbip/.exec(stdout.join("\n"))?.[0] ?? "none was told";
  return penstock.remove;
});

async function send(secret: string): Promise<number> {
  const body = Buffer.from(JSON.stringify(makeEvent("message.received")));
  return (await fetch(webhook, { method: "POST", body, headers: signBuzzBip(body, secret) })).status;
}
const secrets = (...args: string[]): ReturnType<Penstock["call"]> =>
  penstock.call(["sources", "secrets", ...args], { PENSTOCK_ACTOR: "ada" });

test("a secret is added, rotated and removed while ingest runs", async () => {
  expect(await send(FIRST)).toBe(200);
  const file = await penstock.file("whsec_that_the_provider_made\n");
  const added = await secrets("add", "buzzbip", "--from", file);
  expect(added).toMatchObject({ code: 0 });
  expect(added.stdout.join("\n")).toMatch(/^added [0-9a-f]{8} to buzzbip\n\nIngest has it within 5 seconds/);
  expect(added.stdout.join("\n")).not.toContain("whsec");
  await eventually(async () => expect(await send("whsec_that_the_provider_made")).toBe(200));

  const [rotated] = parseLines((await secrets("rotate", "buzzbip", "--generate", "--overlap", "2h", "--json")).stdout);
  const { fingerprint, secret } = rotated as { fingerprint: string; secret: string };
  await eventually(async () => expect(await send(secret)).toBe(200));
  expect(await send(FIRST)).toBe(200);
  await eventually(async () => {
    const table = (await secrets("list", "buzzbip")).stdout;
    expect(table[0]).toMatch(/^SOURCE +FINGERPRINT +WHERE +ADDED +LAST USED +ENDS$/);
    expect(table[1]).toMatch(new RegExp(`^buzzbip +${fingerprint} +database +\\d+ s ago +\\d+ s ago +-$`));
    expect(table[2]).toMatch(/database +.* ago +.* ago +in 1 h$/);
    expect(table[3]).toMatch(/environment +.* ago +.* ago +in 1 h$/);
  });

  expect((await secrets("reveal", "buzzbip", fingerprint)).stdout).toEqual([secret]);
  expect((await secrets("remove", "buzzbip", fingerprint)).stdout.join()).toContain(`removed ${fingerprint}`);
  await eventually(async () => expect(await send(secret)).toBe(401));
  const log = parseLines((await penstock.call(["audit", "list", "--json", "--target", "buzzbip"])).stdout);
  expect(log.map(({ actor, action }) => `${String(actor)} ${String(action)}`)).toEqual([
    "ada sources.secrets.remove",
    "ada sources.secrets.reveal",
    "ada sources.secrets.rotate",
    "ada sources.secrets.add",
  ]);
});

test("what was refused is listed with the reason, and when each source was last heard of", async () => {
  const body = JSON.stringify(makeEvent("message.received"));
  const answer = await fetch(webhook, {
    method: "POST",
    body: `${body}\n`,
    headers: signBuzzBip(Buffer.from(body), FIRST),
  });
  expect(answer.status).toBe(401);
  await eventually(async () => {
    const { stdout } = await penstock.call(["sources", "refused", "buzzbip", "--limit", "1"]);
    expect(stdout[0]).toMatch(
      /^\d+ s ago {2}buzzbip {2}401 mismatch {2}POST \/webhooks\/buzzbip {2}from \S+ {2}body \d+ B$/,
    );
    expect(stdout[1]).toContain("the signature is right for it without a newline at its end");
    expect(stdout).toContainEqual(expect.stringMatching(/^ {2}x-buzzbip-signature: /));
  });
  await eventually(async () => {
    const { stdout } = await penstock.call(["sources", "activity"]);
    expect(stdout[1]).toMatch(/^buzzbip +\d+ s ago +\d+ s ago +\d+$/);
  });
});

test.each([
  [["add", "nobody", "--generate"], 1, /There is no source nobody/],
  [["add", "buzzbip"], 2, /--from <file>, --from -, or --generate/],
  [["remove", "buzzbip", "00000000"], 1, /buzzbip has no secret 00000000/],
  [["reveal", "buzzbip", "00000000"], 1, /no secret 00000000 in the database/],
])("`sources secrets %s` says what to do", async (args, code, said) => {
  const outcome = await secrets(...(args as string[]));
  expect(outcome.code).toBe(code);
  expect(outcome.stderr.join("\n")).toMatch(said as RegExp);
});

test("`send` signs with, and `sources verify` tries, what is in the database, too", async () => {
  const [made] = parseLines((await secrets("add", "buzzbip", "--generate", "--json")).stdout);
  const secret = String(made?.["secret"]);
  await eventually(async () => expect(await send(secret)).toBe(200));
  const elsewhere = { BUZZBIP_SIGNING_SECRETS: "whsec_that_ingest_does_not_have" };
  expect(await penstock.call(["send", "message.received"], elsewhere)).toMatchObject({ code: 0, stderr: [] });
  const body = JSON.stringify(makeEvent("message.received"));
  const request = { url: "/webhooks/buzzbip", headers: signBuzzBip(Buffer.from(body), secret), body };
  const file = await penstock.file(JSON.stringify(request));
  const verified = await penstock.call(["sources", "verify", "buzzbip", file]);
  expect(verified.stdout.join("\n")).toMatch(
    /^accepted\n.*secret 1 of \d+ in the database and BUZZBIP_SIGNING_SECRETS$/,
  );
});

test("the last secret that counts is removed only when that is meant", async () => {
  const rows = parseLines((await secrets("list", "buzzbip", "--json")).stdout) as unknown as { fingerprint: string }[];
  for (const { fingerprint } of rows.slice(1)) await secrets("remove", "buzzbip", fingerprint);
  const refused = await secrets("remove", "buzzbip", rows[0]!.fingerprint);
  expect(refused).toMatchObject({ code: 2 });
  expect(refused.stderr.join()).toContain("has no other secret that counts");
});

test("all are sealed anew with the first master key", async () => {
  expect((await secrets("reseal")).stdout.join()).toMatch(/secrets? (is|are) sealed with the master key [0-9a-f]{8}$/);
});
