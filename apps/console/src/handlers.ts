import type { Patient } from "@penstock/doctor";
import type { Keyring } from "@penstock/dispatch/seal";
import type { OutboundConfig } from "@penstock/schemas";
import type { AdminRoutes } from "@penstock/schemas/admin";
import type { Store } from "@penstock/store";
import type { Readiness } from "@penstock/telemetry";
import type { Auth } from "./accounts/create-auth.ts";
import type { Handlers } from "./api/register-routes.ts";
import type { PublicPlace } from "./api/same-origin.ts";
import { createAccountHandlers } from "./routes/accounts.ts";
import { createAuditHandlers } from "./routes/audit.ts";
import { createComposerHandlers } from "./routes/composer.ts";
import { createDatabaseHandlers } from "./routes/database.ts";
import { createDeliveryHandlers } from "./routes/deliveries.ts";
import { createDoctorHandlers } from "./routes/doctor.ts";
import { createEndpointHandlers } from "./routes/endpoints.ts";
import { createErasureHandlers } from "./routes/erasures.ts";
import { createEventRepairHandlers } from "./routes/event-repair.ts";
import { createEventsHandlers } from "./routes/events.ts";
import { createHandlerHandlers } from "./routes/handlers.ts";
import { createHealthHandlers } from "./routes/health.ts";
import { createIssuesHandlers } from "./routes/issues.ts";
import { createOverviewHandlers } from "./routes/overview.ts";
import { createReplayHandlers } from "./routes/replays.ts";
import { createRetentionHandlers } from "./routes/retention.ts";
import { createSignInHandlers } from "./routes/sign-in.ts";
import { createSourceHandlers } from "./routes/sources.ts";
import type { SourceParts } from "./source-parts.ts";

/** What handlers are made with. */
export interface HandlerParts {
  readonly store: Store;
  readonly auth: Auth;
  readonly place: PublicPlace;
  readonly outbound: OutboundConfig;
  readonly readiness: () => Promise<Readiness>;
  readonly version: string;
  readonly keyring: Keyring;
  readonly sources: SourceParts;
  /** What the doctor looks at. */
  readonly patient: Patient;
  /** Aborted when the console stops. */
  readonly closing: AbortSignal;
}

/** A handler for every route of the admin API: a part's are added here, and its table in packages/schemas/src/admin. */
export function createHandlers({
  store,
  auth,
  place,
  outbound,
  readiness,
  version,
  keyring,
  sources,
  patient,
  closing,
}: HandlerParts): Handlers<AdminRoutes> {
  return {
    ...createOverviewHandlers(store, sources),
    ...createEventsHandlers(store, sources, closing),
    ...createEventRepairHandlers(store, keyring, sources),
    ...createDeliveryHandlers(store),
    ...createReplayHandlers(store),
    ...createIssuesHandlers(store, sources),
    ...createSourceHandlers(store, keyring, sources),
    ...createComposerHandlers(store, keyring, sources),
    ...createEndpointHandlers(store, outbound),
    ...createHandlerHandlers(store),
    ...createDatabaseHandlers(store),
    ...createDoctorHandlers(patient),
    ...createRetentionHandlers(store, closing),
    ...createErasureHandlers(store),
    ...createAuditHandlers(store),
    ...createAccountHandlers(store, auth, place),
    ...createSignInHandlers(auth, place),
    ...createHealthHandlers(readiness, version),
  };
}
