import { addIssueChannel, noteNotTold, noteTold, takeIssueDigest } from "@penstock/store";
import type { NotifyConfig } from "@penstock/schemas";
import { summarizeError } from "../summarize-error.ts";
import type { Channel } from "../notify/create-channels.ts";
import { toIssueMessage } from "../notify/issue-message.ts";
import { loop, type Service, type ServiceContext } from "./service.ts";

const LOOK_EVERY_MS = 2_000;

/**
 * Tells people of issues that are new or have come back: the first at once, and what comes within the time of a digest in one
 * message. Each channel by itself, by one worker at a time; what was not taken is told later.
 */
export function tellIssues(
  context: ServiceContext,
  channels: readonly Channel[],
  { digestMs, consoleUrl }: Pick<NotifyConfig, "digestMs" | "consoleUrl">,
): Service {
  const { store, log } = context;
  const loops = channels.map((channel) => {
    let known = false;
    return loop(context, LOOK_EVERY_MS, `telling ${channel.name} of issues`, async () => {
      if (!known) await addIssueChannel(store, channel.name);
      known = true;
      const digest = await takeIssueDigest(store, channel.name);
      if (digest === null) return;
      const { last, total, issues } = digest;
      // All of them were settled before anybody was told.
      if (issues.length === 0) return noteTold(store, channel.name, { last, digestMs: 0 });
      try {
        await channel.tell(toIssueMessage(digest, consoleUrl));
      } catch (error) {
        log.warn(
          { channel: channel.name, ...summarizeError(error) },
          "nobody could be told of issues, it is tried again",
        );
        return noteNotTold(store, channel.name, error instanceof Error ? error.message : String(error));
      }
      log.info({ channel: channel.name, issues: total }, "told of issues");
      await noteTold(store, channel.name, { last, digestMs });
    });
  });
  return { done: Promise.all(loops) };
}
