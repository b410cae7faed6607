import { ENDPOINT_COUNT_LIMIT, type EndpointRow } from "@penstock/store";
import { formatColumns, truncate } from "./columns.ts";
import { formatAge } from "./duration.ts";
import { printable } from "./printable.ts";

/** Endpoints, a line each, for people. */
export function formatEndpointTable(endpoints: readonly EndpointRow[], now: Date): string {
  const table = endpoints.map((endpoint) => {
    const { pending, running, retrying, dead, skipped } = endpoint.deliveries;
    return [
      endpoint.id,
      describeEndpoint(endpoint, now),
      formatCount(pending + running + retrying),
      formatCount(dead),
      formatCount(skipped),
      truncate(printable(endpoint.url), 60),
      truncate(endpoint.types.map((type) => printable(type)).join(" "), 40),
      truncate(printable(endpoint.disabledReason ?? errorOf(endpoint) ?? ""), 60),
    ];
  });
  return formatColumns([["ID", "STATUS", "WAITING", "DEAD", "SKIPPED", "URL", "TYPES", "WHY"], ...table]);
}

/** What it fails with, while it does: an endpoint keeps its last error for ever. */
export function errorOf({ failingSince, nextTryAt, lastError }: EndpointRow): string | null {
  return failingSince === null && nextTryAt === null ? null : lastError;
}

/** How an endpoint fares, in a few words. */
export function describeEndpoint(
  { status, pausedAt, disabledAt, nextTryAt, failures }: EndpointRow,
  now: Date,
): string {
  const since = (time: string | null): string =>
    time === null ? "" : ` ${formatAge(now.getTime() - Date.parse(time))}`;
  if (status === "disabled") return `disabled${since(disabledAt)}`;
  if (status === "paused") return `paused${since(pausedAt)}`;
  if (status === "active") return "active";
  const next = nextTryAt === null ? "" : `, next try in ${formatAge(Date.parse(nextTryAt) - now.getTime())}`;
  return `${failures === 0 ? "circuit open" : `failing ×${failures}`}${next}`;
}

/** A count of endpoints' deliveries, which goes no further than a limit. */
export const formatCount = (count: number): string =>
  count >= ENDPOINT_COUNT_LIMIT ? `${ENDPOINT_COUNT_LIMIT}+` : String(count);
