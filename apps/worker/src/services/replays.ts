import { loop, type Service, type Workplace } from "./service.ts";

const EVERY_MS = 500;

/** Hands out what replays take, page by page. */
export function advanceReplays(workplace: Workplace): Service {
  return {
    done: loop(workplace, EVERY_MS, "handing out deliveries of a replay", () => workplace.engine.advanceReplay()),
  };
}
