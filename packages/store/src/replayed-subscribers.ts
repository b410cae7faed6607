import { ALL_TYPES, OWN_EVENT_TYPES } from "@penstock/schemas";

/**
 * Whether a replay is about a row `h` of handlers: the one that is named or, where none is, every handler. Endpoints only by
 * name: what handlers do again stays here, and what endpoints get goes to others.
 */
export const isMeant = (named: string, h: string): string =>
  `(${named}::text IS NULL AND ${h}.kind <> 'endpoint' OR ${h}.name = ${named})`;

/** Whether a row `h` of handlers subscribes to a type; all is all but our own. */
export const wantsType = (type: string, h: string): string =>
  `(${type} = ANY(${h}.types) OR ${h}.types = '{${ALL_TYPES}}' AND ${type} <> ALL('{${OWN_EVENT_TYPES.join(",")}}'))`;
