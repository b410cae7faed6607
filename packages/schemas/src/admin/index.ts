import { accountRoutes, signInRoutes } from "./accounts.ts";
import { auditRoutes } from "./audit.ts";
import { databaseRoutes } from "./database.ts";
import { deliveryRoutes } from "./deliveries.ts";
import { doctorRoutes } from "./doctor.ts";
import { endpointRoutes } from "./endpoints.ts";
import { erasureRoutes } from "./erasures.ts";
import { eventRepairRoutes } from "./event-repair.ts";
import { eventsRoutes } from "./events.ts";
import { handlerRoutes } from "./handlers.ts";
import { healthRoutes } from "./health.ts";
import { issuesRoutes, overviewRoutes } from "./issues.ts";
import { replayRoutes } from "./replays.ts";
import { retentionRoutes } from "./retention.ts";
import { composerRoutes, sourceRoutes } from "./sources.ts";

export {
  defineRoutes,
  type Role,
  ROLES,
  type RouteAnswer,
  type RouteCall,
  type RouteInput,
  type RouteResult,
  type Routes,
  type RouteSpec,
} from "./contract.ts";
export { maskings } from "../masked.ts";
export { LANGUAGES, THEMES } from "./accounts.ts";
export { WAYS_TO_SEND } from "./sources.ts";
export {
  accountRoutes,
  auditRoutes,
  composerRoutes,
  databaseRoutes,
  deliveryRoutes,
  doctorRoutes,
  endpointRoutes,
  erasureRoutes,
  eventRepairRoutes,
  eventsRoutes,
  handlerRoutes,
  healthRoutes,
  issuesRoutes,
  overviewRoutes,
  replayRoutes,
  retentionRoutes,
  signInRoutes,
  sourceRoutes,
};

/** Every route of the admin API, in the order of its pages. A part's table is added here, and its handlers in apps/console. */
export const adminRoutes = {
  ...overviewRoutes,
  ...eventsRoutes,
  ...eventRepairRoutes,
  ...deliveryRoutes,
  ...replayRoutes,
  ...issuesRoutes,
  ...sourceRoutes,
  ...composerRoutes,
  ...endpointRoutes,
  ...handlerRoutes,
  ...databaseRoutes,
  ...doctorRoutes,
  ...retentionRoutes,
  ...erasureRoutes,
  ...auditRoutes,
  ...accountRoutes,
  ...signInRoutes,
  ...healthRoutes,
};

/** Of {@link adminRoutes}, for the client. */
export type AdminRoutes = typeof adminRoutes;
