import { accountRoutes, signInRoutes } from "./accounts.ts";
import { eventsRoutes } from "./events.ts";
import { healthRoutes } from "./health.ts";
import { issuesRoutes, overviewRoutes } from "./issues.ts";

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
export { LANGUAGES, THEMES } from "./accounts.ts";
export { accountRoutes, eventsRoutes, healthRoutes, issuesRoutes, overviewRoutes, signInRoutes };

/** Every route of the admin API, in the order of its pages. A part's table is added here, and its handlers in apps/console. */
export const adminRoutes = {
  ...overviewRoutes,
  ...eventsRoutes,
  ...issuesRoutes,
  ...accountRoutes,
  ...signInRoutes,
  ...healthRoutes,
};

/** Of {@link adminRoutes}, for the client. */
export type AdminRoutes = typeof adminRoutes;
