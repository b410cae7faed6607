import type { Store } from "@penstock/store";
import { beforeEach, expect, test } from "vitest";
import { eagerTransaction } from "../src/connection/transaction.ts";
import { openMigrated } from "./open-test-store.ts";

let store: Store;
beforeEach(async () => {
  store = await openMigrated();
  await store.pool.query("CREATE TABLE kept (what text)");
  return () => store.close();
});

const kept = async (): Promise<unknown[]> => (await store.pool.query<{ what: string }>("SELECT what FROM kept")).rows;

type Work = (fails: (error: string) => Promise<unknown>) => Promise<unknown>;

/** Runs a transaction that writes, with each of these as work at its commit. */
const commitWith = (...works: readonly Work[]) =>
  eagerTransaction(store, async (client, { begun, atCommit }) => {
    await begun;
    await client.query("INSERT INTO kept VALUES ('by the transaction')");
    const fails = (error: string) => client.query(`DO $$ BEGIN RAISE EXCEPTION '${error}'; END $$`);
    for (const work of works) atCommit(() => work(fails));
    atCommit(() => client.query("INSERT INTO kept VALUES ('at its commit')"));
  });

const later = () => new Promise((resolve) => setTimeout(resolve, 20));

test("work at the commit is kept with the transaction", async () => {
  await commitWith(() => Promise.resolve());
  expect(await kept()).toEqual([{ what: "by the transaction" }, { what: "at its commit" }]);
});

// Vitest fails a run in which a rejection is unhandled.
const failures: [what: string, works: Work[]][] = [
  ["statements are refused by Postgres, each for its own reason", [(fails) => fails("one"), (fails) => fails("two")]],
  [
    "statements are refused and something fails before it is sent",
    [(fails) => fails("one"), () => Promise.reject(new Error("two")), () => Promise.reject(new Error("three"))],
  ],
  [
    "something throws at once after something else has begun",
    [
      (fails) => fails("one"),
      () => {
        throw new Error("two");
      },
    ],
  ],
  [
    "something fails after the others have ended",
    [(fails) => fails("one"), () => later().then(() => Promise.reject(new Error("two")))],
  ],
];
test.each(failures)("where %s, the first failure is thrown, and nothing is kept", async (_, works) => {
  await expect(commitWith(...works)).rejects.toThrow("one");
  expect(await kept()).toEqual([]);
  // The connection is as good as before.
  await commitWith();
  expect(await kept()).toHaveLength(2);
});
