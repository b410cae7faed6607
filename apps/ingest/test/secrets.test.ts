import {
  fingerprintOf,
  generateMasterKey,
  openSourceSecret,
  parseMasterKeys,
  sealSourceSecret,
} from "@penstock/dispatch";
import {
  addSourceSecret,
  listAudit,
  listSourceActivity,
  listSourceSecrets,
  removeSourceSecret,
  revealSourceSecret,
  rotateSourceSecret,
  SOURCE_SECRET_LIMIT,
} from "@penstock/store";
import { eventually } from "@penstock/testing";
import { expect, test } from "vitest";
import { eventBody, OLD_SECRET, databaseOfFile, send, signed, startIngest } from "./ingest-under-test.ts";

const KEY = generateMasterKey();
const NEW_SECRET = "whsec_added_while_ingest_runs";
/** What a change may take to be in force; the machine of CI is slow, so that the test of it has more. */
const IN_FORCE = 15_000;

const { databaseUrl, store } = await databaseOfFile(
  "penstock.source_secrets, penstock.source_activity, penstock.audit_log",
);

const start = (overrides: Record<string, string> = { PENSTOCK_MASTER_KEY: KEY }): ReturnType<typeof startIngest> =>
  startIngest(databaseUrl, overrides);

const sealed = (secret: string) => sealSourceSecret(parseMasterKeys(KEY), "buzzbip", secret);

const sendWith = async (port: number, secret?: string): Promise<number> => {
  const body = eventBody();
  return (await send(port, { body, headers: signed(body, secret) })).status;
};

const comesTo = (status: number, port: number, secret?: string): Promise<void> =>
  eventually(async () => expect(await sendWith(port, secret)).toBe(status), { timeoutMs: IN_FORCE });

test("a secret that is added counts without a restart, and is refused once it is removed", async () => {
  const { port } = await start();
  expect(await sendWith(port, NEW_SECRET)).toBe(401);
  const secret = sealed(NEW_SECRET);
  expect(await addSourceSecret(store, secret, "ada")).toBe("added");
  await comesTo(200, port, NEW_SECRET);
  expect(await sendWith(port)).toBe(200);
  expect(await removeSourceSecret(store, secret, "ada")).toBe(true);
  await comesTo(401, port, NEW_SECRET);
  expect(await sendWith(port)).toBe(200);
});

test("a rotation ends the others after its overlap, those of the environment included, also after a restart", async () => {
  const { port, ingest } = await start();
  await rotateSourceSecret(store, sealed(NEW_SECRET), 3_600_000, "ada");
  await comesTo(200, port, NEW_SECRET);
  expect(await sendWith(port)).toBe(200);
  expect(await sendWith(port, OLD_SECRET)).toBe(200);
  await rotateSourceSecret(store, sealed(`${NEW_SECRET}_2`), 0, "ada");
  await comesTo(200, port, `${NEW_SECRET}_2`);
  for (const secret of [undefined, OLD_SECRET, NEW_SECRET]) expect(await sendWith(port, secret)).toBe(401);
  await ingest.close(100);
  const again = await start();
  expect(await sendWith(again.port)).toBe(401);
  expect(await sendWith(again.port, `${NEW_SECRET}_2`)).toBe(200);
});

test("secrets are listed with where they are, when they end and when they were last used", async () => {
  const { port } = await start();
  await rotateSourceSecret(store, sealed(NEW_SECRET), 3_600_000, "ada");
  await comesTo(200, port, NEW_SECRET);
  await eventually(async () => {
    const rows = await listSourceSecrets(store, "buzzbip");
    expect(rows).toMatchObject([
      { fingerprint: fingerprintOf(NEW_SECRET, "buzzbip"), kept: true, inEnvironment: false, endsAt: null },
      { kept: false, inEnvironment: true, endsAt: expect.any(Date) },
      { kept: false, inEnvironment: true, endsAt: expect.any(Date) },
    ]);
    expect(rows[0]!.usedAt).toBeInstanceOf(Date);
  });
  expect(JSON.stringify(await listSourceSecrets(store))).not.toContain(NEW_SECRET);
});

test("the last event and the last refused request of a source are told, with how many were refused", async () => {
  const { port } = await start();
  await sendWith(port);
  await sendWith(port, "whsec_of_nobody_at_all");
  await sendWith(port, "whsec_of_nobody_at_all");
  await eventually(async () => {
    expect(await listSourceActivity(store)).toEqual([
      { source: "buzzbip", lastEventAt: expect.any(Date), lastRefusedAt: expect.any(Date), refused: 2 },
    ]);
  });
});

test.each([
  ["without a master key", {}, "PENSTOCK_MASTER_KEY is not set"],
  ["with another master key", { PENSTOCK_MASTER_KEY: generateMasterKey() }, "cannot be opened"],
])("%s, those of the environment count, and what does not is said once", async (_, overrides, said) => {
  await addSourceSecret(store, sealed(NEW_SECRET), "ada");
  const { port, logged } = await start(overrides);
  expect(await sendWith(port)).toBe(200);
  expect(await sendWith(port, NEW_SECRET)).toBe(401);
  // Read again and again, and said no more.
  const fingerprint = fingerprintOf(NEW_SECRET, "buzzbip");
  await removeSourceSecret(store, sealed(NEW_SECRET), "ada");
  await addSourceSecret(store, sealed("whsec_another_that_is_sealed"), "ada");
  await eventually(() => expect(logged()).toContain(fingerprintOf("whsec_another_that_is_sealed", "buzzbip")), {
    timeoutMs: IN_FORCE,
  });
  expect(logged().split(said).length - 1).toBe(2);
  expect(logged().split(fingerprint).length - 1).toBe(1);
});

test("with the table of secrets out of reach, ingest starts and accepts what the environment vouches for", async () => {
  await store.pool.query("ALTER TABLE penstock.source_secrets RENAME TO away");
  try {
    const { port, logged } = await start();
    expect(await sendWith(port)).toBe(200);
    expect(logged()).toContain("could not be read from the database");
  } finally {
    await store.pool.query("ALTER TABLE penstock.away RENAME TO source_secrets");
  }
});

test("a secret is opened only where it was sealed for, and nobody is shown one without a record of it", async () => {
  const secret = sealed(NEW_SECRET);
  await addSourceSecret(store, secret, "ada");
  const open = (text: string) => openSourceSecret(parseMasterKeys(KEY), { ...secret, sealed: text });
  expect(await revealSourceSecret(store, secret, open, "ada")).toBe(NEW_SECRET);
  expect(() => openSourceSecret(parseMasterKeys(KEY), { ...secret, source: "stripe" })).toThrow("another place");
  expect((await listAudit(store)).map(({ action, target, detail }) => [action, target, detail])).toEqual([
    ["sources.secrets.reveal", "buzzbip", { fingerprint: secret.fingerprint }],
    ["sources.secrets.add", "buzzbip", { fingerprint: secret.fingerprint }],
  ]);
});

test("a source has so many secrets at most, and what has ended makes room", async () => {
  for (let at = 0; at < SOURCE_SECRET_LIMIT; at++) {
    expect(await addSourceSecret(store, sealed(`whsec_number_${at}_of_many`), "ada")).toBe("added");
  }
  expect(await addSourceSecret(store, sealed(NEW_SECRET), "ada")).toBe("full");
  expect(await addSourceSecret(store, sealed("whsec_number_3_of_many"), "ada")).toBe("added");
  await store.pool.query("UPDATE penstock.source_secrets SET ends_at = now()");
  expect(await addSourceSecret(store, sealed(NEW_SECRET), "ada")).toBe("added");
});

test("a secret that is removed stays out, though the environment has it, until it is added again", async () => {
  const { port } = await start();
  const old = sealed(OLD_SECRET);
  await removeSourceSecret(store, old, "ada");
  await comesTo(401, port, OLD_SECRET);
  expect(await listSourceSecrets(store, "buzzbip")).toContainEqual(
    expect.objectContaining({ fingerprint: old.fingerprint, ended: true, inEnvironment: true }),
  );
  await addSourceSecret(store, old, "ada");
  await comesTo(200, port, OLD_SECRET);
});

test("a source whose variable is not set is accepted by a secret of the database, and without any ingest does not start", async () => {
  const unset = { PENSTOCK_MASTER_KEY: KEY, BUZZBIP_SIGNING_SECRETS: undefined };
  await expect(startIngest(databaseUrl, unset)).rejects.toThrow(
    /BUZZBIP_SIGNING_SECRETS is required: .*; or add one to the database: penstock sources secrets add buzzbip/,
  );
  await addSourceSecret(store, sealed(NEW_SECRET), "ada");
  const { port } = await startIngest(databaseUrl, unset);
  expect(await sendWith(port, NEW_SECRET)).toBe(200);
  expect(await sendWith(port)).toBe(401);
  // Whether there is one cannot be told while Postgres is away.
  const away = { ...unset, DATABASE_URL: "postgres://127.0.0.1:9/none" };
  await expect(startIngest("postgres://127.0.0.1:9/none", away)).rejects.toThrow(
    /Postgres does not answer, and may have/,
  );
});
