/** What became of every event of a run. Null: there is nothing of the kind to count in it. */
export interface Books {
  readonly sent: number;
  /** Answered with a 2xx, or put into the queue by the peer itself where nothing is sent by HTTP. */
  readonly acknowledged: number;
  /** Answered with anything else. */
  readonly refused: number;
  /** Not answered within ten seconds, or not at all. */
  readonly timedOut: number;
  /** What holds the events before they are processed: rows of Penstock's archive, or jobs of a queue. */
  readonly stored: number | null;
  /** Marks that an event was processed: those of Penstock's own tables, or of the peer's. */
  readonly ledger: number | null;
  /** Rows that the handlers wrote. */
  readonly effects: number | null;
  /** Handlers that each write one row per event. */
  readonly handlers: number;
}

/** What does not add up, in words; empty when all does. A run with anything in this list is void. */
export function imbalances(books: Books): string[] {
  const { sent, acknowledged, refused, timedOut, stored, ledger, effects, handlers } = books;
  const problems: string[] = [];
  // Whoever gets no 2xx does not know whether the event was stored: those are named beside what does not add up.
  const unknown = refused + timedOut === 0 ? "" : ` (${refused} refused and ${timedOut} timed out)`;
  if (sent === 0) problems.push("nothing was sent");
  if (sent !== acknowledged + refused + timedOut) {
    problems.push(`${sent} sent, but ${acknowledged} acknowledged + ${refused} refused + ${timedOut} timed out`);
  }
  if (stored !== null && stored !== acknowledged) {
    problems.push(`${acknowledged} acknowledged, but ${stored} stored${unknown}`);
  }
  if (ledger !== null && ledger !== acknowledged * handlers) {
    problems.push(`${acknowledged} acknowledged for ${handlers} handler(s), but ${ledger} in the ledger${unknown}`);
  }
  if (effects !== null && effects !== acknowledged * handlers) {
    problems.push(`${acknowledged} acknowledged for ${handlers} handler(s), but ${effects} effects${unknown}`);
  }
  return problems;
}
