import { type EventDetail, findGone, showEvents, type Store } from "@penstock/store";
import { Problem } from "./api/problem.ts";

/** How a route names an event. */
interface Named {
  readonly source: string;
  readonly id: string;
}

/** The events of this name, the newest first. @throws Problem when there is none. */
export async function findEvents(store: Store, { source, id }: Named): Promise<EventDetail[]> {
  const found = await showEvents(store, id, source);
  if (found.length > 0) return found.toReversed();
  const gone = await findGone(store, id, source);
  if (gone !== null) {
    const why = gone.why === "age" ? "its term was over" : "Penstock had taken more than RETENTION_BYTES";
    throw new Problem(410, `Event ${id} of ${source} is gone`, {
      detail: `It was received on ${gone.day} and deleted on ${gone.lastWentAt.slice(0, 10)}, since ${why}.`,
    });
  }
  throw new Problem(404, `There is no event ${id} of ${source}`, {
    detail: "Look for it in Events, by another part of what you know of it.",
  });
}

/** The newest event of this name. @throws Problem when there is none. */
export async function findEvent(store: Store, named: Named): Promise<EventDetail> {
  const [event] = await findEvents(store, named);
  if (event === undefined) throw new Problem(404, `There is no event ${named.id} of ${named.source}`);
  return event;
}
