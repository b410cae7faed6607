import {
  createErasure,
  type ErasedValue,
  type ErasurePlan,
  type ErasureRow,
  listErasures,
  planErasure,
  showErasure,
  type Store,
} from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { type Call, unless } from "./answers.ts";

export interface ErasureOperations {
  planErasure(wanted: readonly ErasedValue[]): Promise<ErasurePlan>;
  /** The number of the erasure. */
  createErasure(wanted: readonly ErasedValue[]): Promise<number>;
  listErasures(): Promise<readonly ErasureRow[]>;
  showErasure(id: number): Promise<ErasureRow | null>;
}

export const erasuresInStore = (store: Store, { actor }: CliContext): ErasureOperations => ({
  planErasure: (wanted) => planErasure(store, wanted),
  createErasure: (wanted) => createErasure(store, wanted, actor),
  listErasures: () => listErasures(store),
  showErasure: (id) => showErasure(store, id),
});

export const erasuresByApi = (call: Call): ErasureOperations => {
  const bodyOf = (wanted: readonly ErasedValue[]) => ({
    wanted: wanted.map((one) => (one.kind === "where" ? { ...one, path: [...one.path] } : one)),
  });
  return {
    planErasure: (wanted) => call("POST /erasures/plan", { body: bodyOf(wanted) }),
    createErasure: async (wanted) => (await call("POST /erasures", { body: bodyOf(wanted) })).id,
    listErasures: async () => (await call("GET /erasures", {})).items,
    showErasure: (id) => unless([404], call("GET /erasures/{id}", { path: { id } })),
  };
};
