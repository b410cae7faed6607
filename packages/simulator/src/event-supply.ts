import { makeEvent } from "@penstock/schemas/fixtures";
import { buzzbip, requestOfBody, signBuzzBip } from "@penstock/sources";
import type { SendPlan } from "./send-options.ts";
import { varyEvent } from "./vary-event.ts";

/** One event ready to go: the same bytes and the same signature for each of its copies. */
export interface SignedEvent {
  /** `null`: a body that names none. */
  readonly id: string | null;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Makes events when they are first asked for and forgets them after their last copy, so that a long run needs memory
 * for the copies that are still to come only.
 */
export function createEventSupply(plan: SendPlan): { take(number: number): SignedEvent } {
  const secret = plan.badSignature ? `not-${plan.secret}` : plan.secret;
  const kept = new Map<number, { readonly event: SignedEvent; copiesLeft: number }>();

  const sign = (body: Buffer, id: string | null): SignedEvent => ({ id, body, headers: signBuzzBip(body, secret) });
  const given = plan.body && sign(plan.body, buzzbip().identify(requestOfBody(plan.body)).id);

  function make(number: number): SignedEvent {
    const type = plan.types[number % plan.types.length] ?? "message.received";
    const turn = Math.floor(number / plan.types.length);
    const event = makeEvent(type, { ...plan.overrides, data: { ...varyEvent(type, turn), ...plan.overrides.data } });
    return sign(Buffer.from(JSON.stringify(event)), event.id);
  }

  return {
    take(number) {
      if (given) return given;
      const entry = kept.get(number) ?? { event: make(number), copiesLeft: plan.copies };
      entry.copiesLeft -= 1;
      if (entry.copiesLeft > 0) kept.set(number, entry);
      else kept.delete(number);
      return entry.event;
    },
  };
}
