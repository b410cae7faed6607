import type { auditRoutes } from "@penstock/schemas/admin";
import { listAudit, type Store } from "@penstock/store";
import { omitUndefined } from "../api/omit-undefined.ts";
import { pageById } from "../api/page-by-id.ts";
import type { Handlers } from "../api/register-routes.ts";

export function createAuditHandlers(store: Store): Handlers<typeof auditRoutes> {
  return {
    "GET /audit": ({ query: { cursor, limit, since, until, ...others } }) => {
      const filter = omitUndefined({ ...others, since: toDate(since), until: toDate(until) });
      return pageById(cursor, limit, async (page) => {
        const rows = await listAudit(store, filter, page);
        return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
      });
    },
  };
}

const toDate = (time: string | undefined): Date | undefined => (time === undefined ? undefined : new Date(time));
