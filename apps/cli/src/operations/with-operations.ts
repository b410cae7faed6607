import type { ApiError, Client } from "@penstock/client";
import type { Store } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { describeRefusal, findRemote, openClient, type Remote } from "../remote.ts";
import { type DeliveryOperations, deliveriesByApi, deliveriesInStore } from "./deliveries.ts";
import { type EndpointOperations, endpointsByApi, endpointsInStore } from "./endpoints.ts";
import { type ErasureOperations, erasuresByApi, erasuresInStore } from "./erasures.ts";
import { type EventOperations, eventsByApi, eventsInStore } from "./events.ts";
import { type HandlerOperations, handlersByApi, handlersInStore } from "./handlers.ts";
import { type IssueOperations, issuesByApi, issuesInStore } from "./issues.ts";
import { type RecordOperations, recordsByApi, recordsInStore } from "./records.ts";
import { type ReplayOperations, replaysByApi, replaysInStore } from "./replays.ts";
import { retentionByApi, retentionInStore, type RetentionOperations } from "./retention.ts";
import { type SourceOperations, sourcesByApi, sourcesInStore } from "./sources.ts";

/** What commands do, whether on the database or through a console. */
export type Operations = EventOperations &
  DeliveryOperations &
  ReplayOperations &
  HandlerOperations &
  IssueOperations &
  EndpointOperations &
  SourceOperations &
  RecordOperations &
  RetentionOperations &
  ErasureOperations;

/**
 * Does `work` through the console that the user has named, else on the database.
 *
 * @throws CliError what the console refused, in words.
 */
export async function withOperations<T>(ctx: CliContext, work: (operations: Operations) => Promise<T>): Promise<T> {
  const remote = findRemote(ctx);
  if (remote === null) return withStore(ctx, (store) => work(operationsInStore(store, ctx)));
  return throughConsole(ctx, remote, (client) => work(operationsByApi(client, ctx)));
}

/** Does `work` through a console. @throws CliError what the console refused, in words. */
export async function throughConsole<T>(
  ctx: CliContext,
  remote: Remote,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  try {
    return await work(openClient(ctx, remote));
  } catch (error) {
    if ((error as Partial<ApiError> | undefined)?.code !== "API_ERROR") throw error;
    const { cause } = error as ApiError;
    throw cause instanceof CliError
      ? cause
      : new CliError(describeRefusal(error as ApiError, remote), { cause: error });
  }
}

/** What commands do, on the database. */
export function operationsInStore(store: Store, ctx: CliContext): Operations {
  return {
    ...eventsInStore(store, ctx),
    ...deliveriesInStore(store, ctx),
    ...replaysInStore(store, ctx),
    ...handlersInStore(store, ctx),
    ...issuesInStore(store, ctx),
    ...endpointsInStore(store, ctx),
    ...sourcesInStore(store, ctx),
    ...recordsInStore(store),
    ...retentionInStore(store, ctx),
    ...erasuresInStore(store, ctx),
  };
}

function operationsByApi({ call }: Client, ctx: CliContext): Operations {
  return {
    ...eventsByApi(call, ctx),
    ...deliveriesByApi(call, ctx),
    ...replaysByApi(call),
    ...handlersByApi(call),
    ...issuesByApi(call),
    ...endpointsByApi(call, ctx),
    ...sourcesByApi(call),
    ...recordsByApi(call),
    ...retentionByApi(call),
    ...erasuresByApi(call),
  };
}
