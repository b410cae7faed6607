import { generateMasterKey, type Keyring, parseMasterKeys } from "@penstock/dispatch";
import { type Environment, type OutboundConfig, parseOutboundConfig } from "@penstock/schemas";
import type { CliContext } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { ensureKeptSecret, readKeptSecret } from "./kept-secret.ts";
import { findProject } from "./project.ts";

const MASTER_KEY = "master-key";

/** The receivers of a developer are on the machine that all of it runs on. */
const THIS_MACHINE = "127.0.0.0/8,::1/128";

/** The master key that `start` uses where the environment has none. */
export function ensureMasterKey(home: string): Promise<string> {
  return ensureKeptSecret(home, MASTER_KEY, generateMasterKey);
}

/** Where endpoints may be, by an environment: on the embedded Postgres, which is for development, also on this machine. */
export function outboundAllow(env: Environment): string {
  return env["OUTBOUND_ALLOW"] ?? (env["DATABASE_URL"] ? "" : THIS_MACHINE);
}

/** What the worker of this project is told of endpoints: by the environment, else by what `start` has made. */
export async function findOutboundConfig(ctx: CliContext): Promise<OutboundConfig> {
  const key = ctx.env["PENSTOCK_MASTER_KEY"] || (await readMasterKey(ctx));
  return parseOutboundConfig({
    ...ctx.env,
    OUTBOUND_ALLOW: outboundAllow(ctx.env),
    ...(key !== null && { PENSTOCK_MASTER_KEY: key }),
  });
}

/** What seals and opens the secrets of endpoints. @throws CliError when there is no master key. */
export function openKeyring({ masterKeys }: OutboundConfig): Keyring {
  if (masterKeys !== null) return parseMasterKeys(masterKeys);
  throw new CliError(
    "There is no master key, which the secrets of endpoints and sources are sealed with: `npm start` makes one, or set PENSTOCK_MASTER_KEY to that of ingest and the workers.",
  );
}

async function readMasterKey(ctx: CliContext): Promise<string | null> {
  let home: string;
  try {
    ({ home } = findProject(ctx));
  } catch {
    return null; // in an image there is no project, and the environment says all
  }
  return readKeptSecret(home, MASTER_KEY);
}
