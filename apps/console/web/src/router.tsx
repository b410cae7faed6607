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
import { LoadFailed } from "./pages/load-failed.tsx";
import { NotFound } from "./pages/not-found.tsx";
import { Shell } from "./parts/shell.tsx";

const root = createRootRouteWithContext<{ queryClient: QueryClient }>()({ notFoundComponent: NotFound });

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: (search): { to?: string } => (typeof search["to"] === "string" ? { to: search["to"] } : {}),
  component: lazyRouteComponent(() => import("./pages/sign-in.tsx"), "SignInPage"),
});

/** Everything behind it is for those who are signed in. */
const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  component: Shell,
  beforeLoad: async ({ context, location }) => {
    const me = await context.queryClient.query({ ...meQuery, staleTime: "static" });
    if (me === null) redirect({ to: "/sign-in", search: { to: location.href }, throw: true });
  },
});

const home = createRoute({
  getParentRoute: () => shell,
  path: "/",
  beforeLoad: () => {
    redirect({ to: "/events", throw: true });
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
  validateSearch: (search): { tab?: string } => (typeof search["tab"] === "string" ? { tab: search["tab"] } : {}),
  component: lazyRouteComponent(() => import("./pages/event.tsx"), "EventPage"),
});

const settingsRoute = createRoute({
  getParentRoute: () => shell,
  path: "/settings",
  component: lazyRouteComponent(() => import("./pages/settings.tsx"), "SettingsPage"),
});

/** The pages. One is added here, and in the navigation (parts/navigation.ts). */
const routeTree = root.addChildren([signIn, shell.addChildren([home, events, event, settingsRoute])]);

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
