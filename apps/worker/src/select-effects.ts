import type { EffectHandler, Handler } from "@penstock/handler-sdk";

/** Thrown when WORKER_HANDLERS names a handler that is no effect handler of the configuration; lists those that are. */
class UnknownHandlerError extends Error {
  readonly code = "UNKNOWN_HANDLER";
  override readonly name = "UnknownHandlerError";
}

/**
 * The effect handlers that a worker runs: those in `names`, or all.
 *
 * @throws UnknownHandlerError
 */
export function selectEffects(handlers: readonly Handler[], names: readonly string[] | null): EffectHandler[] {
  const effects = handlers.filter((handler) => handler.kind === "effect");
  if (names === null) return effects;
  const unknown = names.filter((name) => !effects.some((handler) => handler.name === name));
  if (unknown.length > 0) {
    const known = effects.map(({ name }) => name).join(", ") || "no effect handlers";
    throw new UnknownHandlerError(
      `WORKER_HANDLERS names ${unknown.join(", ")}, which is no effect handler of penstock.config.ts; it has ${known}`,
    );
  }
  return effects.filter(({ name }) => names.includes(name));
}
