import { buzzbip } from "./buzzbip.ts";
import type { Source } from "./define-source.ts";

/** Every source, by the name that stands in `POST /webhooks/:source`. */
export const sources: ReadonlyMap<string, Source> = new Map([["buzzbip", buzzbip]]);

/**
 * The source of that name; names are exact, and `undefined` is the answer to any other string.
 *
 * @example
 * const source = findSource(request.params.source) ?? answerNotFound();
 */
export function findSource(name: string): Source | undefined {
  return sources.get(name);
}
