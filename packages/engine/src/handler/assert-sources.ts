import type { Handler } from "@penstock/handler-sdk";
import { ConfigError, KNOWN_EVENT_TYPES, OWN_EVENT_TYPES } from "@penstock/schemas";
import type { Sources } from "@penstock/sources";

/**
 * Checks that some source sends each type that handlers subscribe to. Types without a provider in front are checked where a handler
 * is defined, and Penstock's own events always come.
 *
 * @throws ConfigError with all types that no source sends.
 */
export function assertSources(handlers: readonly Pick<Handler, "name" | "on">[], { list }: Sources): void {
  const providers = new Set(list.map(({ source }) => source.provider));
  const known = new Set<unknown>([...KNOWN_EVENT_TYPES, ...OWN_EVENT_TYPES]);
  const problems = handlers.flatMap(({ name, on }) =>
    on
      .map(String)
      .filter((type) => !known.has(type) && !providers.has(type.slice(0, type.indexOf("."))))
      .map(
        (type) =>
          `handler ${name} subscribes to ${type}, which no source sends: penstock.sources.ts lists ${[...providers].join(", ")}`,
      ),
  );
  if (problems.length > 0) throw new ConfigError(problems);
}
