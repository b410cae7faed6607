export {
  defineSource,
  type EventCheck,
  type EventIdentity,
  type EventProblem,
  type SignedRequest,
  type Source,
  type Verification,
} from "./define-source.ts";
export { buzzbip } from "./buzzbip.ts";
export { keyOfBody, keyOfId } from "./event-key.ts";
export { findSource, sources } from "./sources.ts";
