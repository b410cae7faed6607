import type { EndpointRow } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { formatColumns } from "./columns.ts";
import { formatAge } from "./duration.ts";
import { describeEndpoint, errorOf, formatCount } from "./endpoint-table.ts";
import { printable } from "./printable.ts";

/** All of an endpoint but its secret, and what to do next, for people. */
export function formatEndpointDetail(ctx: Pick<CliContext, "penstock">, endpoint: EndpointRow, now: Date): string {
  const { id, filter, scheduleMs, previousSecretUntil, deliveries, failingSince } = endpoint;
  const ago = (time: string): string => `${time}  (${formatAge(now.getTime() - Date.parse(time))} ago)`;
  const optional = (name: string, value: string | null): string[][] =>
    value === null ? [] : [[name, printable(value)]];
  const facts = [
    ["endpoint", id],
    ["status", describeEndpoint(endpoint, now)],
    ...optional("why", endpoint.disabledReason),
    ...(failingSince === null ? [] : [["failing since", ago(failingSince)]]),
    ...optional("last error", errorOf(endpoint)),
    ["url", printable(endpoint.url)],
    ["types", endpoint.types.map((type) => printable(type)).join(" ")],
    ...optional(
      "filter",
      filter &&
        Object.entries(filter)
          .map(([path, of]) => `${path}=${of.join("|")}`)
          .join(" and "),
    ),
    ...optional("lane", endpoint.lane),
    ...optional("description", endpoint.description),
    ...optional("tenant", endpoint.tenant),
    [
      "signature",
      endpoint.headerName === null
        ? "those of Standard Webhooks, and the plain one of the event's source, where it has one"
        : `${endpoint.headerName}, and those of Standard Webhooks`,
    ],
    ...optional("old secret", previousSecretUntil && `signs, too, until ${previousSecretUntil}`),
    [
      "limits",
      `${endpoint.concurrency} at once${endpoint.ratePerSecond === null ? "" : `, ${endpoint.ratePerSecond} per second`}`,
    ],
    ["retries", scheduleMs === null ? "5, exponential" : scheduleMs.map((ms) => formatAge(ms)).join(", ") || "none"],
    [
      "disabled after",
      `${formatAge(endpoint.disableAfterMs)} of failures${endpoint.disableAfterFailures === null ? "" : `, or ${endpoint.disableAfterFailures} in a row`}`,
    ],
    ["added", ago(endpoint.createdAt)],
    [
      "deliveries",
      Object.entries(deliveries)
        .map(([state, count]) => `${formatCount(count)} ${state}`)
        .join(", "),
    ],
  ];
  return `${formatColumns(facts)}${nextStep(ctx, endpoint)}`;
}

function nextStep(ctx: Pick<CliContext, "penstock">, { id, status, missed }: EndpointRow): string {
  const next = {
    disabled: `endpoints resume ${id}`,
    paused: `endpoints resume ${id}`,
    failing: `endpoints test ${id}`,
    active: missed > 0 ? `endpoints recover ${id}` : null,
  }[status];
  return next === null ? "" : `\n\nNext:\n  ${ctx.penstock} ${next}`;
}
