import { isIP } from "node:net";
import { z } from "zod";
import { isForPostgres, problemOfPostgresUrl } from "./postgres-url.ts";

/** How much is logged, from most to least. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** One of {@link LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Where BullMQ keeps its jobs: in Postgres (without `url`: in the database of DATABASE_URL) or in Redis.
 */
export type QueueConfig =
  { readonly kind: "postgres"; readonly url?: string } | { readonly kind: "redis"; readonly url: string };

interface Range {
  readonly min: number;
  readonly max: number;
  /** What 0 stands for, where it is allowed beside the range. */
  readonly zeroIs?: string;
}

/** True for plain digits in the range: "12abc", "1e3" and "-1" are mistakes to report, not numbers to guess. */
function isWholeNumber(text: string, { min, max, zeroIs }: Range): boolean {
  if (!/^(?:0|[1-9]\d{0,14})$/.test(text)) return false;
  const number = Number(text);
  return (number >= min && number <= max) || (zeroIs !== undefined && number === 0);
}

function mustBeWholeNumber({ min, max, zeroIs }: Range): string {
  return `must be a whole number from ${min} to ${max}${zeroIs === undefined ? "" : `, or 0 (${zeroIs})`}`;
}

function wholeNumber(fallback: number, range: Range) {
  return z
    .string()
    .refine((text) => isWholeNumber(text, range), { error: mustBeWholeNumber(range) })
    .transform(Number)
    .default(fallback);
}

const PORT: Range = { min: 1, max: 65_535, zeroIs: "any free port" };

/** A port for operators alone. Where nobody asked for one any other will do: several processes can share a machine. */
export type InternalPort = { readonly port: number; readonly orAnyPort: boolean };

function internalPort(usual: number) {
  return z
    .string()
    .optional()
    .refine((text) => text === undefined || isWholeNumber(text, PORT), { error: mustBeWholeNumber(PORT) })
    .transform((text): InternalPort => ({ port: Number(text ?? usual), orAnyPort: text === undefined }));
}

const NO_HANDLERS = "none";
const HANDLER_NAME = /^[a-z][a-z0-9-]*$/;

const databaseUrl = z
  .string({ error: "is required: set it to the URL of a Postgres database, postgres://user:password@host:5432/name" })
  // Secrets of orchestrators often end with a newline.
  .transform((text) => text.trim())
  .superRefine((text, context) => {
    const problem = isForPostgres(text)
      ? problemOfPostgresUrl(text)
      : "must be a URL that starts with postgres:// or postgresql://, e.g. postgres://user:password@host:5432/name";
    if (problem !== null) context.addIssue(problem);
  });

const queueUrl = z
  .string()
  .optional()
  .transform((given, context): QueueConfig => {
    const text = given?.trim();
    if (text === undefined) return { kind: "postgres" };
    if (isForPostgres(text)) {
      const problem = problemOfPostgresUrl(text);
      if (problem === null) return { kind: "postgres", url: text };
      context.addIssue(problem);
      return z.NEVER;
    }
    if (/^rediss?:\/\/\S*$/.test(text) && URL.canParse(text)) return { kind: "redis", url: text };
    context.addIssue(
      /^redis\+(?:sentinel|cluster):/.test(text)
        ? "asks for Redis Sentinel or Redis Cluster, which is not supported yet: use redis:// or rediss://, or unset it for a queue in Postgres"
        : "must be a URL that starts with redis://, rediss://, postgres:// or postgresql://; unset it for a queue in the database of DATABASE_URL",
    );
    return z.NEVER;
  });

/**
 * The secrets in a text: one per line, or a JSON list of texts. Nothing else separates them, since a provider's secret can
 * hold any character but a line break.
 */
export function splitSecrets(text: string): string[] {
  const secrets = readList(text) ?? text.split(/\r\n|\r|\n/);
  return secrets.map((secret) => secret.trim()).filter((secret) => secret !== "");
}

/** Of one secret that may be meant as several. */
function doubtAbout(text: string, secrets: readonly string[]): string | null {
  const [only = ""] = secrets;
  if (secrets.length !== 1 || readList(text) !== null) return null;
  if (only.startsWith("[")) return "begins as a JSON list does, is none, and is taken as one secret";
  if (!only.includes(",")) return null;
  return `holds a comma and is taken as one secret; write ${SEVERAL_SECRETS}, and one as a list to end this warning`;
}

function readList(text: string): string[] | null {
  if (!text.trimStart().startsWith("[")) return null;
  try {
    return z.array(z.string()).parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** How a variable holds several secrets, for messages. */
const SEVERAL_SECRETS = 'several as a JSON list (["new","old"]) or one per line';

/** What a variable of secrets holds. */
export interface LiveSecrets {
  readonly values: readonly string[];
  /** What an operator is to be told of how they are written, in words that follow the variable's name; `null`: nothing. */
  readonly doubt: string | null;
}

interface LiveSecretsOptions {
  /** What is wrong with one, in words that follow "the secret". */
  readonly check?: (secret: string) => string | null;
  /** The variable may be left out: the database may have them. */
  readonly canBeElsewhere?: boolean;
}

/** What is said of a variable that is not set, in words that follow its name. */
export const requiredSecrets = (what: string): string => `is required: set it to ${what}, ${SEVERAL_SECRETS}`;

/**
 * The live secrets of a source. `what` says what they are, e.g. "the signing secret of source stripe"; `check` says what is
 * wrong with one, in words that follow "the secret".
 */
export function liveSecrets(what: string, { check = () => null, canBeElsewhere = false }: LiveSecretsOptions = {}) {
  return z
    .string()
    .optional()
    .transform((text, context): LiveSecrets => {
      if (text === undefined) {
        if (!canBeElsewhere) context.addIssue(requiredSecrets(what));
        return { values: [], doubt: null };
      }
      const secrets = splitSecrets(text);
      secrets.forEach((secret, index) => {
        const wrong = check(secret);
        if (wrong !== null) context.addIssue(`holds a secret at position ${index + 1} that ${wrong}`);
      });
      if (secrets.length === 0)
        context.addIssue(`is empty, and anyone knows an empty secret: set it to ${what}, ${SEVERAL_SECRETS}`);
      return { values: secrets, doubt: doubtAbout(text, secrets) };
    });
}

const handlerNames = z
  .string()
  .optional()
  .transform((text, context): readonly string[] | null => {
    if (text === undefined) return null;
    const names = text.split(",").map((name) => name.trim());
    if (text.trim() === NO_HANDLERS) return [];
    if (names.every((name) => HANDLER_NAME.test(name) && name !== NO_HANDLERS)) return names;
    context.addIssue(
      `must be the names of effect handlers, separated by commas, or \`${NO_HANDLERS}\`; unset it to run all of them`,
    );
    return z.NEVER;
  });

const listOf = (text: string): string[] =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

/** Of 32 bytes, in base64; anything else makes no key for AES-256. */
const MASTER_KEY = /^[A-Za-z0-9+/]{43}=$/;

const masterKeys = z
  .string()
  .optional()
  .refine(
    (text) => text === undefined || (listOf(text).length > 0 && listOf(text).every((key) => MASTER_KEY.test(key))),
    {
      error:
        "must be 32 random bytes in base64, e.g. of `openssl rand -base64 32`; several separated by commas, the one that seals first",
    },
  );

function isCidr(text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/");
  const version = isIP(address);
  return version !== 0 && rest.length === 0 && isWholeNumber(bits ?? "", { min: 0, max: version === 4 ? 32 : 128 });
}

const cidrs = z
  .string()
  .default("")
  .transform(listOf)
  .refine((list) => list.every(isCidr), {
    error: "must be ranges of addresses, separated by commas, e.g. 10.20.0.0/16",
  });

const ports = z
  .string()
  .default("443,8443")
  .transform(listOf)
  .refine((list) => list.length > 0 && list.every((port) => isWholeNumber(port, { min: 1, max: 65_535 })), {
    error: "must be ports, separated by commas",
  })
  .transform((list) => list.map(Number));

const host = (usual: string) =>
  z
    .string()
    .refine((text) => /^[A-Za-z0-9.-]+$/.test(text) || z.ipv6().safeParse(text.replace(/%[\w.-]+$/, "")).success, {
      error: "must be a host name or an IP address to listen on, without a scheme, brackets or a port",
    })
    .default(usual);

const UNITS = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;

/** Of 1 MiB or more; null where the text is none. */
function parseSize(text: string): number | null {
  const [, number, unit] = /^(\d{1,15}) ?([KMGT]iB)?$/.exec(text) ?? [];
  const bytes = Number(number) * (UNITS[unit as keyof typeof UNITS] ?? 1);
  return Number.isSafeInteger(bytes) && bytes >= UNITS.MiB ? bytes : null;
}

const bodyMemory = z
  .string()
  .default("256MiB")
  .transform((text, context): number => {
    const bytes = parseSize(text);
    if (bytes !== null) return bytes;
    context.addIssue("must be a size of 1 MiB or more, e.g. 256MiB");
    return z.NEVER;
  });

const size = z
  .string()
  .optional()
  .transform((text, context): number | null => {
    if (text === undefined || text === "0") return null;
    const bytes = parseSize(text);
    if (bytes !== null) return bytes;
    context.addIssue("must be a size of 1 MiB or more, e.g. 50GiB or 500MiB; 0 or unset for no limit");
    return z.NEVER;
  });

const publicUrl = z
  .string()
  .optional()
  .refine((text) => text === undefined || (/^https?:\/\/[^?#]+$/.test(text) && URL.canParse(text)), {
    error: "must be the address that browsers open, e.g. https://penstock.example.com or https://example.com/penstock",
  })
  .transform((text) => text?.replace(/\/+$/, ""));

const issuer = z
  .string()
  .optional()
  .refine((text) => text === undefined || (/^https?:\/\/[^?#]+$/.test(text) && URL.canParse(text)), {
    error:
      "must be the address of a provider of identities (OpenID Connect), e.g. https://login.example.com/realms/staff",
  })
  .transform((text) => text?.replace(/\/+$/, ""));

/** Every variable that Penstock reads, by name: its rule, its default, and what to tell who got it wrong. */
export const variables = {
  DATABASE_URL: databaseUrl,
  QUEUE_URL: queueUrl,
  LOG_LEVEL: z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(", ")}` }).default("info"),
  INGEST_HOST: host("0.0.0.0"),
  INGEST_PORT: wholeNumber(8080, PORT),
  INTERNAL_HOST: host("127.0.0.1"),
  INGEST_INTERNAL_PORT: internalPort(9464),
  WORKER_INTERNAL_PORT: internalPort(9465),
  MAX_BODY_BYTES: wholeNumber(1_048_576, { min: 1_024, max: 64 * 1_048_576 }),
  CONSOLE_HOST: host("0.0.0.0"),
  CONSOLE_PORT: wholeNumber(8081, PORT),
  CONSOLE_INTERNAL_PORT: internalPort(9466),
  CONSOLE_URL: publicUrl,
  INGEST_URL: z
    .string()
    .refine((text) => /^https?:\/\/[^?#\s]+$/.test(text) && URL.canParse(text), {
      error: "must be the http or https URL at which ingest is reached, without a path of a source",
    })
    .transform((text) => text.replace(/\/+$/, ""))
    .default("http://127.0.0.1:8080"),
  CONSOLE_OIDC_ISSUER: issuer,
  CONSOLE_OIDC_CLIENT_ID: z.string().optional(),
  CONSOLE_OIDC_CLIENT_SECRET: z.string().optional(),
  TRACE_URL: z
    .string()
    .optional()
    .refine((text) => text === undefined || (/^https?:\/\/\S+$/.test(text) && text.includes("{traceId}")), {
      error: "must be the address of a trace with {traceId} in it, e.g. https://grafana.example.com/trace/{traceId}",
    }),
  CONSOLE_TRUST_PROXY: wholeNumber(0, { min: 1, max: 16, zeroIs: "no proxy in front" }),
  INGEST_ADDRESS_RATE: wholeNumber(1_000, { min: 1, max: 1_000_000, zeroIs: "off" }),
  INGEST_SOURCE_RATE: wholeNumber(0, { min: 1, max: 1_000_000, zeroIs: "off" }),
  INGEST_TRUST_PROXY: wholeNumber(0, { min: 1, max: 16, zeroIs: "no proxy in front" }),
  INGEST_BODY_MEMORY: bodyMemory,
  INGEST_MAX_WAITING: wholeNumber(20_000, { min: 1, max: 1_000_000 }),
  INTAKE_REFUSED_DIR: z.string().optional(),
  INTAKE_REFUSED_BYTES: size.prefault("1GiB"),
  DEDUPE_WINDOW_DAYS: wholeNumber(400, { min: 1, max: 36_500 }),
  RETENTION_DAYS: wholeNumber(30, { min: 1, max: 36_500 }),
  RETENTION_BYTES: size,
  PENSTOCK_CONFIG: z.string().optional(),
  PENSTOCK_SOURCES: z.string().optional(),
  WORKER_CONCURRENCY: wholeNumber(2, { min: 1, max: 256 }),
  WORKER_BATCH_EVENTS: wholeNumber(500, { min: 1, max: 10_000 }),
  WORKER_HANDLERS: handlerNames,
  // A queue renews a lock at half its time: a shorter one would be lost to a busy machine.
  WORKER_LOCK_MS: wholeNumber(20_000, { min: 1_000, max: 600_000 }),
  PENSTOCK_MASTER_KEY: masterKeys,
  OUTBOUND_ALLOW: cidrs,
  OUTBOUND_PORTS: ports,
  // Below a tenth of a second a garbage collection would look like a process that stands still.
  WATCHDOG_MS: wholeNumber(30_000, { min: 100, max: 3_600_000, zeroIs: "off" }),
  SHUTDOWN_MS: wholeNumber(10_000, { min: 1, max: 3_600_000, zeroIs: "do not wait" }),
} as const;
