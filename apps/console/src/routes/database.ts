import type { databaseRoutes } from "@penstock/schemas/admin";
import { readDatabase, type Store } from "@penstock/store";
import type { Handlers } from "../api/register-routes.ts";

export function createDatabaseHandlers(store: Store): Handlers<typeof databaseRoutes> {
  return { "GET /database": () => readDatabase(store) };
}
