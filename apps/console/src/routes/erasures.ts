import type { erasureRoutes } from "@penstock/schemas/admin";
import {
  createErasure,
  type ErasedValue,
  LEAST_CHARACTERS,
  listErasures,
  planErasure,
  showErasure,
  type Store,
} from "@penstock/store";
import { Problem } from "../api/problem.ts";
import type { Handlers } from "../api/register-routes.ts";

const PLAN_MS = 20_000;

export function createErasureHandlers(store: Store): Handlers<typeof erasureRoutes> {
  return {
    "POST /erasures/plan": ({ body }) => planErasure(store, checked(body.wanted), { budgetMs: PLAN_MS }),
    "POST /erasures": async ({ body }, { principal }) => ({
      id: await createErasure(store, checked(body.wanted), principal.actor),
    }),
    "GET /erasures": async () => ({ items: await listErasures(store) }),
    "GET /erasures/{id}": async ({ path }) => {
      const erasure = await showErasure(store, path.id);
      if (erasure === null) throw new Problem(404, "There is no such erasure");
      return erasure;
    },
  };
}

function checked(wanted: readonly ErasedValue[]): readonly ErasedValue[] {
  if (wanted.some(({ kind, value }) => kind === "value" && value.length < LEAST_CHARACTERS)) {
    throw new Problem(422, "This value is too short", {
      detail: `It would stand in much that is about others: give one of at least ${LEAST_CHARACTERS} characters, or say where it stands.`,
    });
  }
  return wanted;
}
