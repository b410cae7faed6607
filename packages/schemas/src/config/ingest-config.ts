import { deepFreeze } from "./deep-freeze.ts";
import { parseEnvironment } from "./parse-environment.ts";
import type { Environment } from "./secret-files.ts";
import {
  type InternalPort,
  liveSecrets,
  type LiveSecrets,
  type LogLevel,
  type QueueConfig,
  requiredSecrets,
  variables,
} from "./variables.ts";

/** All that ingest can be told, checked. Frozen through and through. */
export type IngestConfig = {
  /** 0: any free port. */
  readonly port: number;
  readonly host: string;
  /** Where metrics and the details of health are served, for operators alone. */
  readonly internal: InternalPort & { readonly host: string };
  readonly maxBodyBytes: number;
  /** Refused requests per second from one client address before it gets 429; 0: off. */
  readonly addressRatePerSecond: number;
  /** Accepted requests per second for one source before it gets 429; 0: off. */
  readonly sourceRatePerSecond: number;
  /** Number of proxies in front whose X-Forwarded-For entry is believed. */
  readonly trustProxyHops: number;
  /** What the bodies of all requests under way may take together before a further large one gets 503. */
  readonly bodyMemoryBytes: number;
  /** Events that wait for a commit before further ones get 503. */
  readonly maxWaitingEvents: number;
  /** Where signed requests are kept that are answered with 503, and how much they may take (`null`: no limit); `null`: nowhere. */
  readonly refused: { readonly folder: string; readonly maxBytes: number | null } | null;
  readonly dedupeWindowDays: number;
  /** How long a stop waits for requests that are under way. */
  readonly shutdownMs: number;
  readonly logLevel: LogLevel;
  readonly databaseUrl: string;
  readonly queue: QueueConfig;
  /** Live signing secrets by the name of their source; empty where the variable is not set. */
  readonly secrets: Readonly<Record<string, readonly string[]>>;
  /** Live verify tokens by the name of their source, of the sources that have such; none is empty. */
  readonly verifyTokens: Readonly<Record<string, readonly string[]>>;
  /** What to say of a source whose variable is not set, should the database have no secret of it either; by its name. */
  readonly withoutSecrets: Readonly<Record<string, string>>;
  /** What opens the secrets of sources that are kept in the database: as for endpoints; `null`: not set. */
  readonly masterKeys: string | null;
  /** Things to tell the operator that do not stop the start; values are never in them. */
  readonly warnings: readonly string[];
};

const { DATABASE_URL, QUEUE_URL, LOG_LEVEL, SHUTDOWN_MS, DEDUPE_WINDOW_DAYS } = variables;
const { INTERNAL_HOST, INGEST_INTERNAL_PORT, INGEST_HOST, INGEST_PORT, MAX_BODY_BYTES, INGEST_MAX_WAITING } = variables;
const { INGEST_BODY_MEMORY, INGEST_ADDRESS_RATE, INGEST_SOURCE_RATE, INGEST_TRUST_PROXY, PENSTOCK_MASTER_KEY } =
  variables;
const { INTAKE_REFUSED_DIR, INTAKE_REFUSED_BYTES } = variables;

const ingestVariables = {
  INGEST_PORT,
  INGEST_HOST,
  INTERNAL_HOST,
  INGEST_INTERNAL_PORT,
  DATABASE_URL,
  QUEUE_URL,
  MAX_BODY_BYTES,
  INGEST_ADDRESS_RATE,
  INGEST_SOURCE_RATE,
  INGEST_TRUST_PROXY,
  INGEST_BODY_MEMORY,
  INGEST_MAX_WAITING,
  INTAKE_REFUSED_DIR,
  INTAKE_REFUSED_BYTES,
  DEDUPE_WINDOW_DAYS,
  SHUTDOWN_MS,
  LOG_LEVEL,
  PENSTOCK_MASTER_KEY,
};

/** Secrets shorter than this can be guessed offline from one captured request. */
const MIN_SECRET_BYTES = 16;

/** What ingest has to know of sources to find their secrets; `defineSources()` returns such. */
export interface ListedSources {
  readonly list: readonly {
    readonly name: string;
    /** The variable that holds the secrets, one per line. */
    readonly secretsFrom: string;
    /** The variable that holds the verify tokens, one per line; `null`: the source has none. */
    readonly verifyTokensFrom: string | null;
    readonly source: { checkSecret(secret: string): string | null };
  }[];
  /** What is wrong with them, to be told along with what is wrong with the environment. */
  readonly problems: readonly string[];
}

/**
 * Reads ingest's configuration from the environment. DATABASE_URL is required; the secrets of a source are, where the database has none.
 *
 * @throws {ConfigError} with every problem at once, those of sources included, by name and never by value.
 * @example
 * const config = parseIngestConfig(process.env, sources);
 */
export function parseIngestConfig(environment: Environment, { list, problems }: ListedSources): IngestConfig {
  const secretVariables = Object.fromEntries(
    list.flatMap(({ name, secretsFrom, verifyTokensFrom, source }) => {
      const check = (secret: string): string | null => source.checkSecret(secret);
      const secrets = liveSecrets(signingSecretOf(name), { check, canBeElsewhere: true });
      const tokens = liveSecrets(`the verify token that you enter beside the URL of source ${name}, any text of yours`);
      return [[secretsFrom, secrets], ...(verifyTokensFrom === null ? [] : [[verifyTokensFrom, tokens] as const])];
    }),
  );
  const names = Object.keys(secretVariables);
  const values = parseEnvironment({ ...ingestVariables, ...secretVariables }, environment, names, problems);
  const secretsIn = values as Readonly<Record<string, unknown>> as Readonly<Record<string, LiveSecrets>>;
  return deepFreeze({
    port: values.INGEST_PORT,
    host: values.INGEST_HOST,
    internal: { host: values.INTERNAL_HOST, ...values.INGEST_INTERNAL_PORT },
    maxBodyBytes: values.MAX_BODY_BYTES,
    addressRatePerSecond: values.INGEST_ADDRESS_RATE,
    sourceRatePerSecond: values.INGEST_SOURCE_RATE,
    trustProxyHops: values.INGEST_TRUST_PROXY,
    bodyMemoryBytes: values.INGEST_BODY_MEMORY,
    maxWaitingEvents: values.INGEST_MAX_WAITING,
    refused:
      values.INTAKE_REFUSED_DIR === undefined
        ? null
        : { folder: values.INTAKE_REFUSED_DIR, maxBytes: values.INTAKE_REFUSED_BYTES },
    dedupeWindowDays: values.DEDUPE_WINDOW_DAYS,
    shutdownMs: values.SHUTDOWN_MS,
    logLevel: values.LOG_LEVEL,
    databaseUrl: values.DATABASE_URL,
    queue: values.QUEUE_URL,
    secrets: Object.fromEntries(list.map(({ name, secretsFrom }) => [name, secretsIn[secretsFrom]?.values ?? []])),
    verifyTokens: Object.fromEntries(
      list.flatMap(({ name, verifyTokensFrom: from }) =>
        from === null ? [] : [[name, secretsIn[from]?.values ?? []]],
      ),
    ),
    withoutSecrets: Object.fromEntries(
      list
        .filter(({ secretsFrom }) => (secretsIn[secretsFrom]?.values ?? []).length === 0)
        .map(({ name, secretsFrom }) => [name, describeMissing(name, secretsFrom)]),
    ),
    masterKeys: values.PENSTOCK_MASTER_KEY ?? null,
    warnings: names.flatMap((name) => warnAboutSecrets(name, secretsIn[name])),
  });
}

const signingSecretOf = (name: string): string => `the signing secret of source ${name}`;

const describeMissing = (name: string, variable: string): string =>
  `${variable} ${requiredSecrets(signingSecretOf(name))}; or add one to the database: penstock sources secrets add ${name}`;

function warnAboutSecrets(variable: string, { values, doubt }: LiveSecrets = { values: [], doubt: null }): string[] {
  return [
    ...values.flatMap((secret, index) =>
      Buffer.byteLength(secret) >= MIN_SECRET_BYTES
        ? []
        : [
            `${variable}: the secret at position ${index + 1} of ${values.length} is shorter than ${MIN_SECRET_BYTES} bytes and could be guessed`,
          ],
    ),
    ...(doubt === null ? [] : [`${variable} ${doubt}`]),
  ];
}
