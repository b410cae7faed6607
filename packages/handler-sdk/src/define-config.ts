import type { Handler } from "./define-handler.ts";
import { HandlerDefinitionError } from "./errors.ts";

/** What `penstock.config.ts` exports: the handlers that are plugged in. */
export interface PenstockConfig {
  readonly handlers: readonly Handler[];
}

const KINDS: readonly unknown[] = ["transactional", "effect"] satisfies Handler["kind"][];

/**
 * Declares which handlers run. The order does not matter: every worker runs them in the order of their names.
 *
 * @throws HandlerDefinitionError when two handlers share a name or a schema, or an entry is not a handler.
 * @example
 * export default defineConfig({ handlers: [inbox] });
 */
export function defineConfig(config: PenstockConfig): PenstockConfig {
  const given: unknown = config.handlers;
  if (!Array.isArray(given)) throw new HandlerDefinitionError("`handlers` must be a list of handlers");
  const handlers = [...config.handlers];
  const names = new Set<string>();
  const schemas = new Map<string, string>();
  for (const [at, handler] of handlers.entries()) {
    if (!KINDS.includes(handler?.kind) || typeof handler.handle !== "function") {
      throw new HandlerDefinitionError(`handlers[${at}] is not a handler: list what defineHandler() returned`);
    }
    if (names.has(handler.name)) {
      throw new HandlerDefinitionError(`two handlers are named ${handler.name}: give one of them another name`);
    }
    const owner = schemas.get(handler.schema);
    if (owner !== undefined) {
      throw new HandlerDefinitionError(
        `handlers ${owner} and ${handler.name} both use schema ${handler.schema}: set another \`schema\` in one of them`,
      );
    }
    names.add(handler.name);
    schemas.set(handler.schema, handler.name);
  }
  // One fixed order on every worker, or two of them could wait for each other's rows.
  handlers.sort((a, b) => (a.name < b.name ? -1 : 1));
  return Object.freeze({ handlers: Object.freeze(handlers) });
}
