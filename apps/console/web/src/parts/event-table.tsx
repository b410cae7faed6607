import type { AdminRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { defineTexts, useTexts } from "../app/language.tsx";
import { StatusBadge, type Shown, statusOf } from "./status-badge.tsx";
import { TimeAgo } from "./time-ago.tsx";

const texts = defineTexts({
  en: {
    received: "Received",
    id: "Id",
    type: "Type",
    source: "Source",
    status: "Status",
    handlers: "Handlers",
    size: "Bytes",
  },
  it: {
    received: "Ricevuto",
    id: "Id",
    type: "Tipo",
    source: "Sorgente",
    status: "Stato",
    handlers: "Handler",
    size: "Byte",
  },
});

export const COLUMNS = ["received", "id", "type", "source", "status", "handlers", "size"] as const;
export type Column = (typeof COLUMNS)[number];
export const useColumnNames = (): ((column: Column) => string) => useTexts(texts);

export type EventRow = RouteAnswer<AdminRoutes["GET /events"]>["items"][number];

/** How a page and a link name an event: by its seq where it has no id. */
export const nameOf = ({ source, id, seq }: Pick<EventRow, "source" | "id" | "seq">) => ({
  source,
  id: id ?? `seq:${seq}`,
});

/** A list of events; the chosen one is kept in view. */
export function EventTable({
  events,
  columns,
  chosen,
  onChoose,
}: {
  events: readonly EventRow[];
  columns: readonly Column[];
  chosen: number | null;
  onChoose?: (seq: number) => void;
}) {
  const t = useTexts(texts);
  const row = useRef<HTMLTableRowElement>(null);
  useEffect(() => {
    // In braces: new browsers return a promise, which React would take for a clean-up.
    row.current?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  return (
    <div className="overflow-x-auto">
      <table className="w-full text-left">
        <thead className="text-dim">
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col" className="py-1 pr-4 font-medium">
                {t(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {events.map((event) => (
            <tr
              key={event.seq}
              ref={event.seq === chosen ? row : undefined}
              aria-current={event.seq === chosen ? "true" : undefined}
              className={`border-t border-line hover:bg-sunken ${event.seq === chosen ? "bg-sunken" : ""}`}
              onClick={() => onChoose?.(event.seq)}
            >
              {columns.map((column) => (
                <td key={column} className="max-w-96 truncate py-1.5 pr-4">
                  <Cell event={event} column={column} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell({ event, column }: { event: EventRow; column: Column }) {
  switch (column) {
    case "received":
      return <TimeAgo time={event.receivedAt} />;
    case "id":
      return (
        <Link to="/events/$source/$id" params={nameOf(event)} className="font-mono text-xs text-accent underline">
          {event.id ?? `seq:${event.seq}`}
        </Link>
      );
    case "status":
      return <StatusBadge state={statusOf(event)} />;
    case "handlers":
      return (
        <>
          {event.deliveries.map(({ subscriber, state }) => (
            <span key={subscriber} className="mr-3 whitespace-nowrap">
              {subscriber} <StatusBadge state={state satisfies Shown} />
            </span>
          ))}
        </>
      );
    case "size":
      return event.bytes;
    case "type":
    case "source":
      return event[column];
  }
}
