export { createIntake, type Intake, type IntakeOptions } from "./create-intake.ts";
export { toEditedEvent } from "./edited-event.ts";
export { IntakeUnavailableError } from "./errors.ts";
export type { Arrival, BatchQueue, EventStore, NewEvent } from "./event-store.ts";
export { toNewEvent, type VerifiedEvent } from "./new-event.ts";
export { readRefusedFile, type RefusedLine } from "./refused/read-refused.ts";
export { createRefusedImporter, type RefusedImporter } from "./refused/refused-importer.ts";
export type { RefusedEvent } from "./refused/refused-line.ts";
export { createRefusedWriter, type RefusedWriter } from "./refused/refused-writer.ts";
