import {
  type AuditFilter,
  type AuditRow,
  type DatabaseState,
  listAudit,
  readDatabase,
  type Store,
} from "@penstock/store";
import { type Call, readPages, toDate, withTimes } from "./answers.ts";

export interface RecordOperations {
  listAudit(
    filter: AuditFilter,
    page: { readonly limit: number; readonly before?: number },
  ): Promise<readonly AuditRow[]>;
  readDatabase(): Promise<DatabaseState>;
}

export const recordsInStore = (store: Store): RecordOperations => ({
  listAudit: (filter, page) => listAudit(store, filter, page),
  readDatabase: () => readDatabase(store),
});

export const recordsByApi = (call: Call): RecordOperations => ({
  async listAudit(filter, { limit, before }) {
    const query = withTimes(filter);
    const from = before === undefined ? undefined : String(before);
    const rows = await readPages(limit, (page) => call("GET /audit", { query: { ...query, ...page } }), from);
    return rows.map((row) => ({ ...row, at: toDate(row.at) }));
  },
  readDatabase: () => call("GET /database"),
});
