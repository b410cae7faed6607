export { createDatabase, type DatabaseOptions, dropDatabase, ensureTemplate, type Migrate } from "./create-database.ts";
export { providePostgres } from "./provide-postgres.ts";
export type { ProvidedPostgres, ProvidedServer } from "./provided-server.ts";
export { makeServerDirectory, removeAbandonedServers, removeServerDirectory } from "./server-directory.ts";
export { withClient } from "./with-client.ts";
