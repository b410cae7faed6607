import { chown, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { removeEmbeddedPostgres, startEmbeddedPostgres } from "@penstock/embedded-postgres";
import { makeServerDirectory, removeServerDirectory, withClient } from "@penstock/test-postgres";
import { createCertificate } from "./certificate.ts";
import { atFileEnd } from "./file-end.ts";

/** A Postgres that speaks TLS, with a certificate for `localhost` of an authority of its own, and that listens on a socket. */
export interface TlsPostgres {
  /** By TCP, at `localhost`, without parameters. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly port: number;
  readonly socketDirectory: string;
  /** The file of the authority's certificate. */
  readonly authority: string;
}

/** Starts one. Always an embedded one: the files of its certificate have to be its own user's. */
export async function startTlsPostgres(): Promise<TlsPostgres> {
  const dir = await makeServerDirectory();
  const socketDirectory = "/tmp"; // its user may write there, and the path is short enough
  const settings = { unix_socket_directories: socketDirectory };
  const server = await startEmbeddedPostgres({ dir, settings, flushNewData: false });
  atFileEnd(async () => {
    await removeEmbeddedPostgres(dir);
    await removeServerDirectory(dir);
  });
  const { key, cert } = createCertificate(["localhost"]);
  const { uid, gid } = await stat(server.dataDir);
  for (const [name, text] of [["server.key", key] as const, ["server.crt", cert] as const]) {
    await writeFile(join(server.dataDir, name), text, { mode: 0o600 });
    await chown(join(server.dataDir, name), uid, gid);
  }
  await withClient(server.url, async (client) => {
    await client.query("ALTER SYSTEM SET ssl = on");
    await client.query("SELECT pg_reload_conf()");
  });
  const authority = join(dir, "authority.pem");
  await writeFile(authority, cert);
  const url = server.url.replace("127.0.0.1", "localhost");
  const { username: user, password } = new URL(url);
  return { url, user, password, port: server.port, socketDirectory, authority };
}
