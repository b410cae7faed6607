import type { HandshakeSecrets, NamedSource, Source } from "@penstock/sources";
import type { RateLimit } from "./rate-limit.ts";

/** A sender that is known here: how it signs, with which secrets, and what it may send. */
export interface ConfiguredSource {
  readonly named: NamedSource;
  readonly source: Source;
  readonly maxBodyBytes: number;
  /** Of accepted requests. */
  readonly limit: RateLimit;
  /** Replaced as a whole when secrets change: a request holds on to those it began with. */
  live: LiveSecrets;
  readonly activity: SourceActivity;
}

/** The secrets that a source has at a time. */
export interface LiveSecrets {
  readonly secrets: HandshakeSecrets;
  /** Of the signing secrets, in their order. */
  readonly fingerprints: readonly string[];
  /** When each signing secret last verified a request, by `performance.now()`; 0: not since it was last told. */
  readonly usedAt: number[];
}

/** What was heard of a source since that was last told; times by `performance.now()`, 0: nothing. */
export interface SourceActivity {
  eventAt: number;
  refusedAt: number;
  refused: number;
  /** Accepted requests. */
  accepted: number;
}
