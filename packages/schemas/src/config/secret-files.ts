import { readFileSync } from "node:fs";
import { ConfigError } from "./config-error.ts";

/** The environment as `process.env` gives it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that can hold a secret: each, say X, can be given as X_FILE, the path of a file that holds its value. */
const SECRET_VARIABLES = [
  "DATABASE_URL",
  "QUEUE_URL",
  "PENSTOCK_MASTER_KEY",
  "CONSOLE_OIDC_CLIENT_SECRET",
  "PENSTOCK_TOKEN",
  "NOTIFY_SLACK_URL",
  "NOTIFY_TEAMS_URL",
  "NOTIFY_SMTP_URL",
];

/** The variables of sources are of the same kind, whatever their names. */
const SOURCE_SECRETS_FILE = /^([A-Z][A-Z0-9_]*_(?:SIGNING_SECRETS|VERIFY_TOKENS))_FILE$/;

/** Those of `names` that can hold a secret by what they are called. */
export function secretVariables(names: readonly string[]): string[] {
  return names.filter((name) => SECRET_VARIABLES.includes(name));
}

/** An environment in which the files have been read, and what went wrong: a sentence by variable. */
export interface SecretFilesReading {
  readonly environment: Environment;
  readonly problems: ReadonlyMap<string, string>;
}

/**
 * Reads the files that DATABASE_URL_FILE and its like name, without the newline that editors leave at the end. Secrets
 * then need not stand in an environment, which `docker inspect` and crash reports show.
 *
 * Looks at `names` only; unless given, at the variables of database, queue, master key and notifications, and at all that are called X_SIGNING_SECRETS or X_VERIFY_TOKENS.
 * In the result the X_FILE are gone, so that it can be handed on to a process that gets its own X. A problem is told by
 * name and path, never by value.
 */
export function readSecretFiles(
  environment: Environment,
  names: readonly string[] = [...SECRET_VARIABLES, ...sourceSecretsIn(environment)],
): SecretFilesReading {
  const read: Record<string, string | undefined> = { ...environment };
  const problems = new Map<string, string>();
  for (const name of names) {
    const path = environment[`${name}_FILE`];
    delete read[`${name}_FILE`];
    if (path === undefined || path === "") continue;
    if (environment[name] !== undefined && environment[name] !== "") {
      problems.set(name, `${name} and ${name}_FILE are both set: unset one of them, nothing says which is right`);
    } else if (path.includes("://")) {
      // Whoever put the value here by mistake must not find it in a log.
      problems.set(name, `${name}_FILE must be the path of a file that holds the value, not the value`);
    } else {
      const outcome = readSecretFile(path);
      if (outcome.ok) read[name] = outcome.value;
      else problems.set(name, `${name}_FILE names ${path}, ${outcome.reason}`);
    }
  }
  return { environment: read, problems };
}

/**
 * The environment with the files read, for code that looks at variables one by one.
 *
 * @throws {ConfigError} with every problem at once.
 * @example
 * const env = withSecretFiles(process.env);
 */
export function withSecretFiles(environment: Environment): Environment {
  const reading = readSecretFiles(environment);
  if (reading.problems.size > 0) throw new ConfigError([...reading.problems.values()]);
  return reading.environment;
}

function sourceSecretsIn(environment: Environment): string[] {
  return Object.keys(environment).flatMap((name) => SOURCE_SECRETS_FILE.exec(name)?.[1] ?? []);
}

function readSecretFile(path: string): { ok: true; value: string } | { ok: false; reason: string } {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    return { ok: false, reason: `which this user cannot read (${code})` };
  }
  const value = text.replace(/[\r\n]+$/, "");
  // An empty value would be told as "is required", which sends people looking in the wrong place.
  return value === "" ? { ok: false, reason: "which is empty" } : { ok: true, value };
}
