import { loop, type Service, type ServiceContext } from "./service.ts";

const EVERY_MS = 500;

/** Hands out the deliveries of replays, page by page. */
export function advanceReplays(context: ServiceContext): Service {
  return {
    done: loop(context, EVERY_MS, "handing out deliveries of a replay", () => context.engine.advanceReplay()),
  };
}
