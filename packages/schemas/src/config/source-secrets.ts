import { type Environment, readSecretFiles } from "./secret-files.ts";
import { splitSecrets } from "./variables.ts";

/**
 * The signing secrets of sources that this environment has, by the names of sources: none where it has none. For those who can
 * do without; ingest asks for them (`parseIngestConfig`).
 */
export function findSourceSecrets(
  environment: Environment,
  sources: readonly { readonly name: string; readonly secretsFrom: string }[],
): Readonly<Record<string, readonly string[]>> {
  const { environment: resolved } = readSecretFiles(
    environment,
    sources.map(({ secretsFrom }) => secretsFrom),
  );
  return Object.fromEntries(sources.map(({ name, secretsFrom }) => [name, splitSecrets(resolved[secretsFrom] ?? "")]));
}
