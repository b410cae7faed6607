import { isWebhookId } from "@penstock/dispatch";
import { wallClockMs } from "@penstock/schemas";
import { makeEvent, randomId } from "@penstock/schemas/fixtures";
import { buzzbip, requestOfBody } from "@penstock/sources";
import { draw } from "./draw.ts";
import { layOver } from "./lay-over.ts";
import type { SendPlan } from "./send-options.ts";
import { varyEvent } from "./vary-event.ts";

/** One event ready to go: the same bytes for each of its copies. */
export interface SuppliedEvent {
  /** `null`: a body that names none. */
  readonly id: string | null;
  /** What its requests are known by: its id where that can be a header, or one of its own. */
  readonly webhookId: string;
  readonly body: Buffer;
}

/** How old a late event is at most. */
const MAX_LATENESS_MS = 86_400_000;

/**
 * Makes events when they are first asked for and forgets them once all of their copies are done with, so that a long run
 * needs memory for the copies that are still to come only.
 */
export function createEventSupply(plan: SendPlan): { get(number: number): SuppliedEvent; done(number: number): void } {
  const kept = new Map<number, { readonly event: SuppliedEvent; copiesLeft: number }>();

  const supply = (body: Buffer, id: string | null): SuppliedEvent => ({
    id,
    webhookId: id !== null && isWebhookId(id) ? id : randomId("msg"),
    body,
  });
  const given = plan.body && supply(plan.body, buzzbip().identify(requestOfBody(plan.body)).id);

  function make(number: number): SuppliedEvent {
    const type = plan.types[number % plan.types.length] ?? "message.received";
    const turn = Math.floor(number / plan.types.length);
    const createdAt =
      draw(plan.seed, "late", number) < plan.late
        ? new Date(wallClockMs() - draw(plan.seed, "lateness", number) * MAX_LATENESS_MS).toISOString()
        : undefined;
    const varied = { createdAt, ...plan.overrides, data: { ...varyEvent(type, turn), ...plan.overrides.data } };
    const event = layOver({ ...makeEvent(type, varied) }, plan.overlay);
    return supply(Buffer.from(JSON.stringify(event)), typeof event["id"] === "string" ? event["id"] : null);
  }

  return {
    get(number) {
      if (given) return given;
      const entry = kept.get(number) ?? { event: make(number), copiesLeft: plan.copies };
      kept.set(number, entry);
      return entry.event;
    },
    done(number) {
      const entry = kept.get(number);
      if (entry !== undefined && --entry.copiesLeft === 0) kept.delete(number);
    },
  };
}
