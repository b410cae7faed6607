import { createHash } from "node:crypto";
import type { Handler } from "@penstock/handler-sdk";
import type { DecodedEvent } from "../event/decode-event.ts";
import type { LanePlace, LaneRule } from "../contract/engine-store.ts";
import { describeError, LaneError } from "../outage/errors.ts";

/** The rule for deliveries in lanes of a handler that has no lanes any more: in order, and not blocked by dead letters. */
const PAST_THE_DEAD: LaneRule = { order: "strict", onDead: "continue" };

/** The rule by which the next delivery of a handler's lane is chosen. */
export function laneRuleOf({ lanes }: Pick<Handler, "lanes">): LaneRule {
  return lanes === null ? PAST_THE_DEAD : { order: lanes.order, onDead: lanes.onDead };
}

/**
 * The place of an event in the lanes of a handler; null for no lane.
 *
 * Lanes go by the provider's date. For newest-wins a date after the receipt counts as the receipt: an event that claims to be of
 * the future would have all later events skipped.
 *
 * @throws LaneError when the handler's function throws or returns something else.
 */
export function laneOf({ name, lanes }: Pick<Handler, "name" | "lanes">, decoded: DecodedEvent): LanePlace | null {
  if (lanes === null) return null;
  let lane: unknown;
  try {
    lane = lanes.of(decoded.event);
  } catch (error) {
    const { errorClass, errorMessage } = describeError(error);
    throw new LaneError(`lane() of handler ${name} threw ${errorClass}: ${errorMessage}`, { cause: error });
  }
  if (lane === null) return null;
  if (typeof lane !== "string") {
    // A rejection of this promise would be unhandled.
    if (lane instanceof Promise) lane.catch(() => undefined);
    const found = lane instanceof Promise ? "a promise" : typeof lane;
    throw new LaneError(`lane() of handler ${name} must return a string, or null for no lane, and returned ${found}`);
  }
  return placeInLane(lane, decoded.event, lanes.order);
}

/** The place of an event in the lane of this key. */
export function placeInLane(
  key: string,
  { createdAt, receivedAt }: Pick<DecodedEvent["event"], "createdAt" | "receivedAt">,
  order: LaneRule["order"],
): LanePlace {
  const isUsable = !Number.isNaN(createdAt.getTime()) && !(order === "newest-wins" && createdAt > receivedAt);
  return { key: toStoredLane(key), at: isUsable ? createdAt : receivedAt };
}

/** The most characters of a key that is stored as it is. */
const LONGEST = 120;
// What Postgres cannot hold, what steers a terminal or cannot be seen there, and what could be taken for a stand-in.
const UNPLAIN = /[\p{C}\p{Zl}\p{Zp}]|^\s|\s$|^$|~[0-9a-f]{32}$/u;

/**
 * A lane's key as it is stored, shown, and typed by operators. A key that is long or cannot be printed is stored as its printable
 * beginning and a hash of all of it, so that different keys stay different.
 */
function toStoredLane(key: string): string {
  if (key.length <= LONGEST && key.isWellFormed() && !UNPLAIN.test(key)) return key;
  // UTF-16, in which halves of characters differ, too.
  const hash = createHash("sha256").update(Buffer.from(key, "utf16le")).digest("hex").slice(0, 32);
  const beginning = Array.from(key.slice(0, LONGEST), (character) => (UNPLAIN.test(character) ? "" : character));
  return `${beginning.join("").slice(0, 60).toWellFormed().replaceAll("\ufffd", "")}~${hash}`;
}
