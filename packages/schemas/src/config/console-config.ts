import { ConfigError } from "./config-error.ts";
import { deepFreeze } from "./deep-freeze.ts";
import { type OutboundConfig, outboundVariables, toOutboundConfig } from "./outbound-config.ts";
import { parseEnvironment } from "./parse-environment.ts";
import type { Environment } from "./secret-files.ts";
import { type InternalPort, type LogLevel, type QueueConfig, variables } from "./variables.ts";

/** All that the console can be told, checked. Frozen through and through. */
export type ConsoleConfig = {
  readonly databaseUrl: string;
  /** Where the queue is, which admins may look into. */
  readonly queue: QueueConfig;
  /** 0: any free port. */
  readonly port: number;
  readonly host: string;
  /** Where metrics and health are served, for operators alone. */
  readonly internal: InternalPort & { readonly host: string };
  /** Where browsers reach it, without a slash at the end; `null`: on this machine only, by any name of it. */
  readonly publicUrl: string | null;
  /** Number of proxies in front whose X-Forwarded-For entry is believed. */
  readonly trustProxyHops: number;
  /** What sessions are signed with is made of it. */
  readonly masterKeys: string;
  /** Where ingest is reached, without a slash at the end. */
  readonly ingestUrl: string;
  /** The address of a trace, with `{traceId}` in it; `null`: none is linked to. */
  readonly traceUrl: string | null;
  /** Where endpoints may be, and what their secrets are sealed with. */
  readonly outbound: OutboundConfig;
  /** A provider of identities (OpenID Connect) that people sign in by; `null`: none. */
  readonly oidc: { readonly issuer: string; readonly clientId: string; readonly clientSecret: string } | null;
  /** How long a stop waits for requests that are under way. */
  readonly shutdownMs: number;
  readonly logLevel: LogLevel;
};

const { DATABASE_URL, QUEUE_URL, LOG_LEVEL, SHUTDOWN_MS, INTERNAL_HOST, CONSOLE_INTERNAL_PORT } = variables;
const { INGEST_URL, CONSOLE_HOST, CONSOLE_PORT, CONSOLE_URL, CONSOLE_TRUST_PROXY, PENSTOCK_MASTER_KEY } = variables;
const { TRACE_URL } = variables;
const { CONSOLE_OIDC_ISSUER, CONSOLE_OIDC_CLIENT_ID, CONSOLE_OIDC_CLIENT_SECRET } = variables;

const consoleVariables = {
  ...outboundVariables,
  DATABASE_URL,
  QUEUE_URL,
  CONSOLE_HOST,
  CONSOLE_PORT,
  CONSOLE_URL,
  CONSOLE_TRUST_PROXY,
  INGEST_URL,
  TRACE_URL,
  CONSOLE_OIDC_ISSUER,
  CONSOLE_OIDC_CLIENT_ID,
  CONSOLE_OIDC_CLIENT_SECRET,
  INTERNAL_HOST,
  CONSOLE_INTERNAL_PORT,
  PENSTOCK_MASTER_KEY: PENSTOCK_MASTER_KEY.refine((text) => text !== undefined, {
    error: "is required: 32 random bytes in base64, e.g. of `openssl rand -base64 32`; the same as the workers have",
  }),
  SHUTDOWN_MS,
  LOG_LEVEL,
};

/**
 * Reads the console's configuration from the environment. DATABASE_URL and PENSTOCK_MASTER_KEY are required.
 *
 * @throws {ConfigError} with every problem at once, by name and never by value.
 * @example
 * const config = parseConsoleConfig(process.env);
 */
export function parseConsoleConfig(environment: Environment): ConsoleConfig {
  const values = parseEnvironment(consoleVariables, environment);
  const { CONSOLE_OIDC_ISSUER: issuer, CONSOLE_OIDC_CLIENT_ID: clientId } = values;
  const { CONSOLE_OIDC_CLIENT_SECRET: clientSecret } = values;
  const given = [issuer, clientId, clientSecret].filter((value) => value !== undefined);
  if (given.length === 1 || given.length === 2) {
    throw new ConfigError([
      "CONSOLE_OIDC_ISSUER, CONSOLE_OIDC_CLIENT_ID and CONSOLE_OIDC_CLIENT_SECRET must be set together, or none of them",
    ]);
  }
  return deepFreeze({
    databaseUrl: values.DATABASE_URL,
    queue: values.QUEUE_URL,
    port: values.CONSOLE_PORT,
    host: values.CONSOLE_HOST,
    internal: { host: values.INTERNAL_HOST, ...values.CONSOLE_INTERNAL_PORT },
    publicUrl: values.CONSOLE_URL ?? null,
    trustProxyHops: values.CONSOLE_TRUST_PROXY,
    masterKeys: values.PENSTOCK_MASTER_KEY ?? "",
    outbound: toOutboundConfig(values),
    ingestUrl: values.INGEST_URL,
    traceUrl: values.TRACE_URL ?? null,
    oidc: issuer && clientId && clientSecret ? { issuer, clientId, clientSecret } : null,
    shutdownMs: values.SHUTDOWN_MS,
    logLevel: values.LOG_LEVEL,
  });
}
