import { z } from "zod";

/** What an issue is about: what needs a person. */
export const ISSUE_KINDS = [
  "dead-letter",
  "quarantine",
  "refused",
  "failing-endpoint",
  "blocked-lane",
  "silent-source",
] as const;

export type IssueKind = (typeof ISSUE_KINDS)[number];

/**
 * `open`: nobody has looked. `acknowledged`: somebody has. `resolved`: by an operator, or by a worker that found nothing left
 * of it; what comes after that opens it again. `ignored`: it is counted, and never opens again by itself.
 */
export const ISSUE_STATES = ["open", "acknowledged", "resolved", "ignored"] as const;

export type IssueState = (typeof ISSUE_STATES)[number];

/** The type of the event that tells of an issue which is new or has come back. */
export const ISSUE_OPENED = "penstock.issue.opened";

/** The data of `penstock.issue.opened`. */
export const issueOpenedSchema = z.looseObject({
  issueId: z.int(),
  /** One of {@link ISSUE_KINDS}; others may come. */
  kind: z.string(),
  /** The handler, the endpoint or the source. */
  subject: z.string(),
  /** In words for people. */
  title: z.string(),
  /** Whether it had been resolved before. */
  reopened: z.boolean(),
  /** How often it has occurred, over all time. */
  count: z.int().positive(),
  /** ISO 8601, as is `lastSeen`. */
  firstSeen: z.string(),
  lastSeen: z.string(),
  /** The id of the newest event that it is about; null where it has none. */
  exampleEventId: z.string().nullable(),
});

export type IssueOpened = z.infer<typeof issueOpenedSchema>;
