import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { parseMasterKeys } from "@penstock/dispatch/seal";
import type { Patient } from "@penstock/doctor";
import type { ConsoleConfig } from "@penstock/schemas";
import { assertMigrated, type Store } from "@penstock/store";
import { createReadiness, type Logger, type Readiness } from "@penstock/telemetry";
import { createAuthenticate } from "./accounts/authenticate.ts";
import { createAuth } from "./accounts/create-auth.ts";
import { createAnswerOnce } from "./api/answer-once.ts";
import { toPublicPlace } from "./api/same-origin.ts";
import { createConsoleApp } from "./app.ts";
import { createHandlers } from "./handlers.ts";
import { createPatient } from "./patient.ts";
import { createQueueBoard } from "./queue-board.ts";
import type { SourceParts } from "./source-parts.ts";

export interface Console {
  readonly server: Server;
  readonly readiness: () => Promise<Readiness>;
  /** Starts to listen and returns where. @throws when the address is taken */
  listen(): Promise<AddressInfo>;
  /** Answers what is under way, at most `timeoutMs`, then closes every connection. */
  close(timeoutMs: number): Promise<void>;
}

/** Beside the compiled code, and where it is built to when that is run from its sources. */
const WEB_FOLDER = join(import.meta.dirname, "..", "dist", "web");

/** Wires the console: the store behind, accounts beside, HTTP in front. */
export function createConsole(
  config: ConsoleConfig,
  {
    store,
    log,
    version,
    sources,
    environment,
  }: {
    readonly store: Store;
    readonly log: Logger;
    readonly version: string;
    readonly sources: Omit<SourceParts, "ingestUrl">;
    /** What this process was told, for the doctor. */
    readonly environment: Pick<Patient, "settings" | "unknownSettings" | "exporters" | "refusedFolder">;
  },
): Console {
  const closing = new AbortController();
  const place = toPublicPlace(config.publicUrl);
  const auth = createAuth({ store, place, masterKeys: config.masterKeys, oidc: config.oidc, log });
  const readiness = createReadiness(
    [
      { name: "postgres", required: true, check: () => store.ping() },
      { name: "migrations", required: true, check: () => assertMigrated(store) },
    ],
    () => closing.signal.aborted,
  );
  const authenticate = createAuthenticate(store, auth);
  const queueBoard = createQueueBoard(config, authenticate, `${place.basePath}/queue`);
  const app = createConsoleApp({
    authenticate,
    queueBoard,
    answerOnce: createAnswerOnce(store),
    handlers: createHandlers({
      store,
      auth,
      place,
      outbound: config.outbound,
      readiness,
      version,
      keyring: parseMasterKeys(config.masterKeys),
      sources: { ...sources, ingestUrl: config.ingestUrl },
      patient: createPatient(config, {
        ...environment,
        store,
        version,
        sources: sources.list.map(({ name, source }) => ({ name, silentAfterMs: source.silentAfterMs })),
      }),
      closing: closing.signal,
    }),
    place,
    log,
    version,
    webFolder: WEB_FOLDER,
    hasOidc: config.oidc !== null,
    traceUrl: config.traceUrl,
    trustProxyHops: config.trustProxyHops,
  });
  const server = createServer({ keepAliveTimeout: 65_000, requestTimeout: 30_000 }, app);
  return {
    server,
    readiness,
    listen: () =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(config.port, config.host, () => {
          server.off("error", reject);
          resolve(server.address() as AddressInfo);
        });
      }),
    async close(timeoutMs) {
      closing.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      const idle = setInterval(() => server.closeIdleConnections(), 50);
      const force = setTimeout(() => server.closeAllConnections(), timeoutMs);
      await closed;
      clearTimeout(force);
      clearInterval(idle);
      await queueBoard.close();
    },
  };
}
