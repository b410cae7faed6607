/** A text of a source file, and what stands there instead while the code is broken on purpose. */
export interface Replacement {
  /** The file, below the folder of the repository. */
  readonly file: string;
  readonly text: string;
  readonly by: string;
}

export interface Mutation {
  /** The process whose code is broken. */
  readonly role: "ingest" | "worker";
  readonly replacements: readonly Replacement[];
  /** Kinds of faults that bring it to light. */
  readonly faults: readonly string[];
}

const CLAIM = "packages/store/src/events/claim-batches.ts";
const LOCK = "packages/store/src/deliveries/lock-deliveries.ts";
const FINISH = "packages/store/src/deliveries/finish-deliveries.ts";
const EFFECT = "packages/engine/src/executors/effect.ts";
const TRANSACTIONAL = "packages/engine/src/executors/transactional.ts";

/** Ways to break what keeps a promise. Each has to be found by the books: that shows that the books can fail. */
export const MUTATIONS = {
  // Two workers take the same batch. The ledger tells the second that all its events are copies, and the batch is deleted.
  "claim-without-lock": {
    role: "worker",
    replacements: [
      { file: CLAIM, text: "ORDER BY batch FOR UPDATE ${held}", by: "ORDER BY batch" },
      {
        file: CLAIM,
        text: "LIMIT (SELECT batches FROM room) FOR UPDATE SKIP LOCKED",
        by: "LIMIT (SELECT batches FROM room)",
      },
    ],
    faults: ["worker-frozen", "worker-killed", "worker-stopped"],
  },
  "answer-before-commit": {
    role: "ingest",
    replacements: [
      {
        file: "packages/intake/src/create-intake.ts",
        text: "const number = await within(deadlineMs, store.commitBatch(events));",
        by: "for (const one of batch) answer(one); const number = await within(deadlineMs, store.commitBatch(events));",
      },
    ],
    faults: ["postgres-killed", "postgres-terminated", "ingest-killed", "postgres-reset"],
  },
  // The guard of a result is the token and the state together, where a result is written and where its row is locked.
  "settle-without-token": {
    role: "worker",
    replacements: [
      { file: FINISH, text: "AND d.token = r.token\n       AND (d.state = 'running') IS TRUE", by: "" },
      { file: LOCK, text: "AND d.token = r.token\n                       AND d.state = 'running'", by: "" },
      // Leases that a freeze of seconds outlasts.
      { file: TRANSACTIONAL, text: "const LEASE_SLACK_MS = 10_000;", by: "const LEASE_SLACK_MS = 1_000;" },
      { file: EFFECT, text: "const LEASE_SLACK_MS = 30_000;", by: "const LEASE_SLACK_MS = 1_000;" },
    ],
    faults: ["worker-frozen-past-lease", "postgres-slow"],
  },
} as const satisfies Record<string, Mutation>;

export type MutationName = keyof typeof MUTATIONS;

/** The source with the text replaced. @throws where the text does not stand there exactly once: the code has changed */
export function replaceText(source: string, { file, text, by }: Replacement): string {
  const [before, after, ...more] = source.split(text);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`${file} does not hold exactly once what a mutation replaces: ${text}`);
  }
  return before + by + after;
}
