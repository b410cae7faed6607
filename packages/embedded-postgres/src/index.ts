export {
  BinariesMissingError,
  DataUnusableError,
  LockTimeoutError,
  StartFailedError,
  StopFailedError,
  UnsupportedPlatformError,
} from "./errors.ts";
export { findEmbeddedPostgres } from "./find.ts";
export { withFileLock, type FileLockOptions } from "./file-lock.ts";
export { findFreePort } from "./free-port.ts";
export { isRunning, signalServer } from "./postmaster.ts";
export { removeEmbeddedPostgres } from "./remove.ts";
export { startEmbeddedPostgres, type EmbeddedPostgres, type StartOptions } from "./start.ts";
