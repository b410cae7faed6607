import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createTestDatabase, eventually, startTlsPostgres, type TlsPostgres } from "@penstock/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { open } from "./open-test-store.ts";

let server: TlsPostgres;
beforeAll(async () => {
  server = await startTlsPostgres();
  // It reads its settings again in a moment.
  await eventually(() => ask(`${server.url}?sslmode=no-verify`));
});

/** Connects, and tells whether it is encrypted. */
async function ask(url: string): Promise<boolean | undefined> {
  const store = open(url);
  try {
    await store.ping();
    const { rows } = await store.pool.query<{ ssl: boolean }>(
      "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    );
    return rows[0]?.ssl;
  } finally {
    await store.close();
  }
}

describe("a server whose certificate is of an authority of its own", () => {
  test.each(["require", "prefer", "verify-ca", "verify-full"])(
    "is not trusted with sslmode=%s, and the ways out are told",
    async (mode) => {
      await expect(ask(`${server.url}?sslmode=${mode}`)).rejects.toMatchObject({
        code: "DATABASE_UNAVAILABLE",
        message: expect.stringMatching(
          /certificate.*sslmode=verify-full&sslrootcert=.*NODE_EXTRA_CA_CERTS.*uselibpqcompat=true&sslmode=verify-ca.*sslmode=no-verify/,
        ) as string,
      });
    },
  );

  test.each([
    ["with its file", () => `sslmode=verify-full&sslrootcert=${server.authority}`],
    ["with its file, by require", () => `sslmode=require&sslrootcert=${server.authority}`],
    ["as libpq reads require", () => "sslmode=require&uselibpqcompat=true"],
    ["without a check", () => "sslmode=no-verify"],
  ])("is connected to %s, encrypted", async (_, parameters) => {
    expect(await ask(`${server.url}?${parameters()}`)).toBe(true);
  });

  test("is connected to under another name where its authority alone is checked", async () => {
    const url = server.url.replace("localhost", "127.0.0.1");
    const file = `sslrootcert=${server.authority}`;
    await expect(ask(`${url}?sslmode=verify-full&${file}`)).rejects.toMatchObject({
      message: expect.stringContaining("certificate") as string,
    });
    expect(await ask(`${url}?uselibpqcompat=true&sslmode=verify-ca&${file}`)).toBe(true);
  });
});

test.each([
  [
    "a parameter",
    ({ user, password, socketDirectory, port }: TlsPostgres) =>
      `postgres://${user}:${password}@/penstock?host=${socketDirectory}&port=${port}`,
  ],
  [
    "a percent-encoded host",
    ({ user, password, socketDirectory, port }: TlsPostgres) =>
      `postgres://${user}:${password}@${encodeURIComponent(socketDirectory)}:${port}/penstock`,
  ],
  [
    "its own scheme",
    ({ user, password, socketDirectory, port }: TlsPostgres) =>
      `socket://${user}:${password}@${socketDirectory}?db=penstock&port=${port}`,
  ],
])("a server is connected to by its socket, named by %s", async (_, toUrl) => {
  expect(await ask(toUrl(server))).toBe(false);
});

test("a server that does not encrypt is told, where the URL asks for it", async () => {
  const { url } = await createTestDatabase();
  await expect(ask(`${url}?sslmode=verify-full`)).rejects.toMatchObject({
    code: "DATABASE_UNAVAILABLE",
    message: expect.stringMatching(/does not support SSL connections.*Take sslmode out of the URL/) as string,
  });
});

test("a socket that is not there is a Postgres that is not available", async () => {
  await expect(ask("postgres://user@/penstock?host=/no/such/folder")).rejects.toMatchObject({
    code: "DATABASE_UNAVAILABLE",
    message: expect.stringMatching(/^Postgres is not available: .*ENOENT/) as string,
  });
});

test("a connection that falls silent once it is opened is given up after the time to connect", async () => {
  // Authentication is done and a query may come (R, Z), and then nothing is answered.
  const silent = createServer((socket) => {
    socket.once("data", () => socket.write(Buffer.from("R\0\0\0\b\0\0\0\0Z\0\0\0\x05I", "latin1")));
    socket.on("error", () => undefined);
  });
  await once(silent.listen(0, "127.0.0.1"), "listening");
  const { port } = silent.address() as AddressInfo;
  const store = open(`postgres://user@127.0.0.1:${port}/penstock`, { connectTimeoutMs: 300 });
  try {
    await expect(store.ping()).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  } finally {
    silent.close();
    await store.close();
  }
}, 30_000);
