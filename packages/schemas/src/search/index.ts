export { type Completion, completeQuery, type CompletionOption, type KnownValues } from "./complete-query.ts";
export { parseQuery } from "./parse-query.ts";
export { printQuery, printTerm } from "./print-query.ts";
export {
  type BodyTerm,
  DELIVERY_STATES,
  EVENT_STATUSES,
  type FieldKey,
  type FieldTerm,
  FIELDS,
  MAX_QUERY_LENGTH,
  type ParsedQuery,
  type Place,
  type QueryError,
  type Term,
  type TextTerm,
} from "./query.ts";
export { setTime, timesOf } from "./set-time.ts";
