export { assertSources } from "./assert-sources.ts";
export { type EventWorker, startWorker } from "./create-worker.ts";
export { loadConfig, LoadConfigError } from "./load-config.ts";
