import { ApiError } from "@penstock/client";
import { MutationCache, QueryCache, QueryClient, queryOptions } from "@tanstack/react-query";
import { api } from "./api.ts";
import { settings } from "./settings.ts";

/** Whoever's session has ended is asked to sign in again, wherever that is noticed. */
function onError(error: Error): void {
  if (error instanceof ApiError && error.status === 401) void queryClient.invalidateQueries({ queryKey: ["me"] });
}

export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError: (error, query) => query.queryKey[0] !== "me" && onError(error) }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // What is refused stays refused.
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
    },
  },
});

let hasSession = settings.hasSession;

/** Forgets who was signed in, and asks again. */
export async function signedIn(): Promise<void> {
  hasSession = true;
  await queryClient.resetQueries({ queryKey: ["me"] });
}

/** Who is signed in; null when nobody is. */
export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: async ({ signal }) => {
    if (!hasSession) return null;
    try {
      return await api.call("GET /me", { signal });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    }
  },
  staleTime: 60_000,
});
