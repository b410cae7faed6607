export type { Finding, Level, Patient } from "./check.ts";
export { readEnvironment } from "./read-environment.ts";
export { type Diagnosis, runDoctor } from "./run-doctor.ts";
