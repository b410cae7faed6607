/**
 * Thrown when nothing durable takes the event right now: the database is away or slow, too much is waiting, or intake is
 * closing. Its outcome is unknown; the sender is to try again, and the ledger makes that safe.
 */
export class IntakeUnavailableError extends Error {
  readonly code = "INTAKE_UNAVAILABLE";
  override readonly name = "IntakeUnavailableError";
}
