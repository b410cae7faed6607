import { join } from "node:path";
import {
  ConfigError,
  type ConsoleConfig,
  type Environment,
  type IngestConfig,
  type ListedSources,
  parseConsoleConfig,
  parseIngestConfig,
  parseWorkerConfig,
  type WorkerConfig,
} from "@penstock/schemas";
import { SIMULATED } from "@penstock/simulator";
import { outboundAllow } from "../outbound.ts";

/** What ingest, worker and console make of an environment. */
export interface ChildConfigs {
  readonly console: ConsoleConfig;
  readonly ingest: IngestConfig;
  readonly worker: WorkerConfig;
}

/** The variable whose secret `start` makes: that of the one source for which nobody has to ask a provider. */
export const MADE_SECRET = SIMULATED.secretsFrom;

/** Where the ingest of `start` keeps what it answers with 503. */
export const toRefusedFolder = (home: string): string => join(home, "refused");

/**
 * The environment of ingest, worker and console: this one, with what `start` provides where it says nothing. Ingest and
 * console then listen for this machine only.
 */
export function toChildEnvironment(
  env: Environment,
  provided: { databaseUrl: string; secret: string | null; masterKey: string; refusedFolder: string },
): Environment {
  return {
    ...env,
    DATABASE_URL: env["DATABASE_URL"] || provided.databaseUrl,
    // Not `||`: a variable that is set to nothing is a mistake to report.
    ...(provided.secret === null ? {} : { [MADE_SECRET]: env[MADE_SECRET] ?? provided.secret }),
    INGEST_HOST: env["INGEST_HOST"] || "127.0.0.1",
    CONSOLE_HOST: env["CONSOLE_HOST"] || "127.0.0.1",
    PENSTOCK_MASTER_KEY: env["PENSTOCK_MASTER_KEY"] || provided.masterKey,
    INTAKE_REFUSED_DIR: env["INTAKE_REFUSED_DIR"] || provided.refusedFolder,
    OUTBOUND_ALLOW: outboundAllow(env),
  };
}

/** Reads all configurations. @throws ConfigError with the problems of all and of the sources at once, each once. */
export function parseChildConfigs(env: Environment, sources: ListedSources): ChildConfigs {
  const problems = new Set<string>();
  const attempt = <T>(parse: (env: Environment) => T): T | undefined => {
    try {
      return parse(env);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) problems.add(problem);
      return undefined;
    }
  };
  const ingest = attempt((given) => parseIngestConfig(given, sources));
  const worker = attempt(parseWorkerConfig);
  const console = attempt(parseConsoleConfig);
  if (!ingest || !worker || !console) throw new ConfigError([...problems]);
  return { ingest, worker, console };
}
