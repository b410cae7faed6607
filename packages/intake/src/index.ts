export { createIntake, type Intake, type IntakeOptions } from "./create-intake.ts";
export { toEditedEvent } from "./edited-event.ts";
export { IntakeUnavailableError } from "./errors.ts";
export type { Arrival, BatchQueue, EventStore, NewEvent } from "./event-store.ts";
export { toNewEvent, type VerifiedEvent } from "./new-event.ts";
