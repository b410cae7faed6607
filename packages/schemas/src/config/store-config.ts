import { deepFreeze } from "./deep-freeze.ts";
import { parseEnvironment } from "./parse-environment.ts";
import type { Environment } from "./secret-files.ts";
import { type QueueConfig, variables } from "./variables.ts";

/** Where the data and the queue are: all that a command needs which neither receives nor processes. Frozen. */
export type StoreConfig = {
  readonly databaseUrl: string;
  readonly queue: QueueConfig;
};

const { DATABASE_URL, QUEUE_URL } = variables;

/**
 * Reads from the environment where the data and the queue are. DATABASE_URL is required.
 *
 * @throws {ConfigError} with every problem at once, by name and never by value.
 * @example
 * const { databaseUrl } = parseStoreConfig(process.env);
 */
export function parseStoreConfig(environment: Environment): StoreConfig {
  const values = parseEnvironment({ DATABASE_URL, QUEUE_URL }, environment);
  return deepFreeze({ databaseUrl: values.DATABASE_URL, queue: values.QUEUE_URL });
}
