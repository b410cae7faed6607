import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import type { QueryClient } from "@tanstack/react-query";
import { meQuery, queryClient } from "./app/query-client.ts";
import { settings } from "./app/settings.ts";
import { validateIssueSearch } from "./pages/issue-search.ts";
import { LoadFailed } from "./pages/load-failed.tsx";
import { NotFound } from "./pages/not-found.tsx";
import { type DeliveryState, isDeliveryState } from "./parts/delivery-states.ts";
import { Shell } from "./parts/shell.tsx";

const root = createRootRouteWithContext<{ queryClient: QueryClient }>()({ notFoundComponent: NotFound });

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: ({ to, error }): { to?: string; error?: string } => ({
    ...(typeof to === "string" && { to }),
    ...(typeof error === "string" && { error }),
  }),
  component: lazyRouteComponent(() => import("./pages/sign-in.tsx"), "SignInPage"),
});

/** Everything behind it is for those who are signed in. */
const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  component: Shell,
  beforeLoad: async ({ context, location }) => {
    const me = await context.queryClient.query({ ...meQuery, staleTime: "static" });
    if (me === null) redirect({ to: "/sign-in", search: { to: location.publicHref }, throw: true });
  },
});

const home = createRoute({
  getParentRoute: () => shell,
  path: "/",
  beforeLoad: () => {
    redirect({ to: "/overview", throw: true });
  },
});

const events = createRoute({
  getParentRoute: () => shell,
  path: "/events",
  validateSearch: (search): { q?: string; columns?: string } => ({
    ...(typeof search["q"] === "string" && search["q"] !== "" && { q: search["q"] }),
    ...(typeof search["columns"] === "string" && { columns: search["columns"] }),
  }),
  component: lazyRouteComponent(() => import("./pages/events.tsx"), "EventsPage"),
});

const event = createRoute({
  getParentRoute: () => shell,
  path: "/events/$source/$id",
  validateSearch: (search): { tab?: string; about?: string; handler?: string } =>
    textsIn(search, ["tab", "about", "handler"]),
  component: lazyRouteComponent(() => import("./pages/event.tsx"), "EventPage"),
});

const overview = createRoute({
  getParentRoute: () => shell,
  path: "/overview",
  component: lazyRouteComponent(() => import("./pages/overview.tsx"), "OverviewPage"),
});

const issues = createRoute({
  getParentRoute: () => shell,
  path: "/issues",
  validateSearch: validateIssueSearch,
  component: lazyRouteComponent(() => import("./pages/issues.tsx"), "IssuesPage"),
});

const issue = createRoute({
  getParentRoute: () => shell,
  path: "/issues/$id",
  component: lazyRouteComponent(() => import("./pages/issue.tsx"), "IssuePage"),
});

const endpoints = createRoute({
  getParentRoute: () => shell,
  path: "/endpoints",
  validateSearch: (search): { add?: boolean } => (search["add"] === true ? { add: true } : {}),
  component: lazyRouteComponent(() => import("./pages/endpoints.tsx"), "EndpointsPage"),
});

const endpoint = createRoute({
  getParentRoute: () => shell,
  path: "/endpoints/$id",
  validateSearch: (search): { state?: DeliveryState | undefined; delivery?: number | undefined } => ({
    ...(isDeliveryState(search["state"]) && { state: search["state"] }),
    ...(typeof search["delivery"] === "number" && { delivery: search["delivery"] }),
  }),
  component: lazyRouteComponent(() => import("./pages/endpoint.tsx"), "EndpointPage"),
});

const handlers = createRoute({
  getParentRoute: () => shell,
  path: "/handlers",
  validateSearch: (search): { lanes?: "blocked" | undefined } =>
    search["lanes"] === "blocked" ? { lanes: "blocked" } : {},
  component: lazyRouteComponent(() => import("./pages/handlers.tsx"), "HandlersPage"),
});

const database = createRoute({
  getParentRoute: () => shell,
  path: "/database",
  component: lazyRouteComponent(() => import("./pages/database.tsx"), "DatabasePage"),
});

const settingsRoute = createRoute({
  getParentRoute: () => shell,
  path: "/settings",
  component: lazyRouteComponent(() => import("./pages/settings.tsx"), "SettingsPage"),
});

const sources = createRoute({
  getParentRoute: () => shell,
  path: "/sources",
  component: lazyRouteComponent(() => import("./pages/sources.tsx"), "SourcesPage"),
});

const composer = createRoute({
  getParentRoute: () => shell,
  path: "/composer",
  validateSearch: (search): { source?: string; type?: string; way?: string } =>
    textsIn(search, ["source", "type", "way"]),
  component: lazyRouteComponent(() => import("./pages/composer.tsx"), "ComposerPage"),
});

const audit = createRoute({
  getParentRoute: () => shell,
  path: "/settings/audit",
  validateSearch: (search): { actor?: string; action?: string; target?: string } =>
    textsIn(search, ["actor", "action", "target"]),
  component: lazyRouteComponent(() => import("./pages/audit.tsx"), "AuditPage"),
});

/** What a URL says of these, as far as it says texts. */
function textsIn<Name extends string>(
  search: Record<string, unknown>,
  names: readonly Name[],
): { [Key in Name]?: string } {
  const given = names.map((name) => [name, search[name]] as const).filter(([, value]) => typeof value === "string");
  return Object.fromEntries(given) as { [Key in Name]?: string };
}

/** The pages. One is added here, and in the navigation (parts/navigation.ts). */
const routeTree = root.addChildren([
  signIn,
  shell.addChildren([
    home,
    overview,
    events,
    event,
    issues,
    issue,
    sources,
    composer,
    endpoints,
    endpoint,
    handlers,
    database,
    settingsRoute,
    audit,
  ]),
]);

export const router = createRouter({
  routeTree,
  basepath: settings.basePath,
  context: { queryClient },
  defaultPreload: "intent",
  defaultErrorComponent: LoadFailed,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
