import type { BuzzBipEventType } from "@penstock/schemas";
import { fixtures, randomId } from "@penstock/schemas/fixtures";

/** How many contacts the simulated workspace has: enough that they are not all one hot row, few enough to come back. */
const CONTACTS = 1_000;

/**
 * The data that makes one simulated event differ from the next, to be laid over the fixture's: a message and a run of
 * its own each time, and a thousand contacts who take turns, each with one conversation. The first contact is the
 * fixtures' own, and the same number is the same contact in every run, so that single sends add to one conversation.
 */
export function varyEvent(type: BuzzBipEventType, turn: number): Record<string, string> {
  const has = fixtures[type].data;
  const varied: Record<string, string> = {};
  if ("messageId" in has) varied["messageId"] = randomId("msg");
  if ("runId" in has) varied["runId"] = randomId("run");

  const contact = turn % CONTACTS;
  if (contact === 0) return varied;
  const number = String(contact).padStart(4, "0");
  const ofContact = {
    contactId: `cnt_sim${number}`,
    conversationId: `conv_sim${number}`,
    from: `+2162000${number}`,
    to: `+2162000${number}`,
    phone: `+2162000${number}`,
    email: `contact${number}@example.com`,
    ...(type.startsWith("contact.") ? { name: `Contact ${number}` } : {}),
  };
  for (const [field, value] of Object.entries(ofContact)) if (field in has) varied[field] = value;
  return varied;
}
