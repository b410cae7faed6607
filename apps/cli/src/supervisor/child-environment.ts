import {
  ConfigError,
  type Environment,
  type IngestConfig,
  parseIngestConfig,
  parseWorkerConfig,
  type WorkerConfig,
} from "@penstock/schemas";

/** What ingest and worker make of an environment. */
export interface ChildConfigs {
  readonly ingest: IngestConfig;
  readonly worker: WorkerConfig;
}

/**
 * The environment of ingest and worker: this one, with what `start` provides where it says nothing. Ingest then listens
 * for this machine only.
 */
export function toChildEnvironment(env: Environment, provided: { databaseUrl: string; secret: string }): Environment {
  return {
    ...env,
    DATABASE_URL: env["DATABASE_URL"] || provided.databaseUrl,
    // Not `||`: a variable that is set to nothing is a mistake to report.
    BUZZBIP_SIGNING_SECRETS: env["BUZZBIP_SIGNING_SECRETS"] ?? provided.secret,
    INGEST_HOST: env["INGEST_HOST"] || "127.0.0.1",
  };
}

/** Reads both configurations. @throws ConfigError with the problems of both at once, each once. */
export function parseChildConfigs(env: Environment): ChildConfigs {
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
  const ingest = attempt(parseIngestConfig);
  const worker = attempt(parseWorkerConfig);
  if (ingest === undefined || worker === undefined) throw new ConfigError([...problems]);
  return { ingest, worker };
}
