export { envelopeSchema, type Envelope } from "./envelope.ts";
export {
  BUZZBIP_EVENT_TYPES,
  MAX_DATA_ID_LENGTH,
  buzzbipEventSchema,
  buzzbipEventSchemas,
  isBuzzBipEventType,
  type BuzzBipEvent,
  type BuzzBipEventOf,
  type BuzzBipEventType,
} from "./buzzbip.ts";
// By names that say what they are to everybody but their source: the events that are known one by one, each with a schema.
// Their types have no provider in front.
export {
  BUZZBIP_EVENT_TYPES as KNOWN_EVENT_TYPES,
  isBuzzBipEventType as isKnownEventType,
  type BuzzBipEvent as KnownEvent,
  type BuzzBipEventOf as KnownEventOf,
  type BuzzBipEventType as KnownEventType,
} from "./buzzbip.ts";
export { type PrefixedProvider, PROVIDERS } from "./providers.ts";
export {
  ALL_TYPES,
  ENDPOINT_DEFAULTS,
  ENDPOINT_PREFIX,
  endpointDisabledSchema,
  endpointSettingsSchema,
  isEndpointId,
  OWN_EVENT_TYPES,
  OWN_SOURCE,
  SKIPPED_WHILE_DISABLED,
  type EndpointDisabled,
  type EndpointSettings,
} from "./endpoint.ts";
export {
  ISSUE_KINDS,
  ISSUE_OPENED,
  ISSUE_STATES,
  issueOpenedSchema,
  type IssueKind,
  type IssueOpened,
  type IssueState,
} from "./issue.ts";
export { SUBJECT_ERASED, type SubjectErased, subjectErasedSchema } from "./erased.ts";
export { adminOperations, type AdminInput, type AdminOperation, type AdminOutput } from "./admin.ts";
export { hmac, type HmacAlgorithm } from "./hmac.ts";
export { sliceJson, sliceJsonItems, sliceJsonMembers } from "./json-slice.ts";
export { matchBody } from "./search/match-body.ts";
export { createHide, MASK, maskBody, type MaskedPath } from "./mask-body.ts";
export { normaliseMessage } from "./normalise-message.ts";
export { parseDuration, parseMoment } from "./moment.ts";
export { isStorableText, toStorableText } from "./storable-text.ts";
export { parseCreatedAt, parseTime } from "./time.ts";
export { wallClockMs } from "./wall-clock.ts";
export { EVENTS_QUEUE, batchJobSchema, type BatchJob } from "./queue.ts";
export { explainCertificateError, isCertificateError } from "./config/certificate-error.ts";
export { ConfigError } from "./config/config-error.ts";
export { findUnknownSettings, readSettings, type Setting } from "./config/settings.ts";
export { type Environment, readSecretFiles, withSecretFiles } from "./config/secret-files.ts";
export { type InternalPort, LOG_LEVELS, type LogLevel, type QueueConfig, splitSecrets } from "./config/variables.ts";
export { parseConsoleConfig, type ConsoleConfig } from "./config/console-config.ts";
export { parseIngestConfig, type IngestConfig, type ListedSources } from "./config/ingest-config.ts";
export { type RetentionConfig } from "./config/retention-config.ts";
export { type ArchiveConfig, parseArchiveConfig } from "./config/archive-config.ts";
export { type NotifyConfig } from "./config/notify-config.ts";
export { findSourceSecrets } from "./config/source-secrets.ts";
export { parseOutboundConfig, type OutboundConfig } from "./config/outbound-config.ts";
export { parseWorkerConfig, type WorkerConfig } from "./config/worker-config.ts";
export { parseStoreConfig, type StoreConfig } from "./config/store-config.ts";
export { toJsonSchema, type JsonSchemaDocument } from "./json-schema.ts";
