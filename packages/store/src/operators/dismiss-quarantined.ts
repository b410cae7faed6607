import { query, type Store } from "../connection/create-store.ts";
import type { EventPointer } from "../events/find-events.ts";
import { sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { recordAudit } from "./audit-log.ts";

const DISMISS = statement({
  text: sql`
    UPDATE penstock.quarantine SET dismissed_at = now()
     WHERE day = ${{ day: "date" }} AND seq = ${{ seq: "int8" }} AND dismissed_at IS NULL`,
});

/**
 * Marks an event in quarantine as dealt with: it is kept, and nobody is shown it as one to look after. False when it is not in
 * quarantine, or has been dismissed before.
 */
export async function dismissQuarantined(store: Store, { day, seq }: EventPointer, actor: string): Promise<boolean> {
  return transaction(store, async (client) => {
    const { rowCount } = await query(client, DISMISS, { day, seq });
    if (rowCount !== 1) return false;
    await recordAudit(client, { actor, action: "quarantine.dismiss", target: `seq:${seq}`, detail: { day } });
    return true;
  });
}
