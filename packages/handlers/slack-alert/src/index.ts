import {
  defineHandler,
  type EffectContext,
  type EffectEraseContext,
  type EffectHandler,
  type ErasedSubject,
  fetchOk,
  type FromEnvironment,
  isUrlTemplate,
  parseOptions,
} from "@penstock/handler-sdk";
import { z } from "zod";
import { alertText } from "./alert-text.ts";
import { countFailure } from "./count-failure.ts";
import { erasePerson } from "./erase-person.ts";
import * as failures from "./migrations/0001-failures.ts";
import type { Tables } from "./tables.ts";

export type { Example, Tables } from "./tables.ts";

/** What penstock.config.ts says of it. */
export interface Options {
  /** Slack's incoming webhook; a secret, since whoever has it can post. */
  readonly webhookUrl: string | FromEnvironment;
  /** How many failed messages make an alert; 5 unless given. */
  readonly threshold?: number;
  /** Within which time, in milliseconds; 600,000 (10 minutes) unless given. */
  readonly windowMs?: number;
  /** For how long there is no other alert then, in milliseconds; 1,800,000 (half an hour) unless given. */
  readonly cooldownMs?: number;
  /** What failed longer ago than this does not count, in milliseconds; 3,600,000 (an hour) unless given. */
  readonly maxAgeMs?: number;
  /** Its name; `slack-alert` unless given. */
  readonly name?: string;
}

const whole = z.int("must be a whole number of at least 1").min(1, "must be a whole number of at least 1");
const schema = z.strictObject({
  webhookUrl: z
    .string("is missing: give Slack's incoming webhook by env(…)")
    .refine((url) => isUrlTemplate(url), "must be an http or https URL without user and password"),
  threshold: whole.default(5),
  windowMs: whole.default(600_000),
  cooldownMs: whole.default(1_800_000),
  maxAgeMs: whole.default(3_600_000),
  name: z.string("must be text").default("slack-alert"),
});

/**
 * Posts to Slack when many messages fail; see the README.
 *
 * @throws HandlerDefinitionError with all that is wrong with the options.
 */
export default function slackAlert(options: Options): EffectHandler<"message.failed", Tables> {
  const { name, webhookUrl, ...limits } = parseOptions("slack-alert", schema, options);
  return defineHandler({
    kind: "effect",
    name,
    on: ["message.failed"],
    migrations: { "0001-failures": { up: failures.up } },
    timeoutMs: 10_000,
    // An alert is worth something for an hour.
    retry: { scheduleMs: [2_000, 10_000, 60_000, 300_000, 600_000, 1_200_000, 1_800_000] },
    async handle(event, ctx: EffectContext<Tables>) {
      // Counted and decided once: a later try only posts what was decided.
      const alert = await ctx.transaction("count", (tx) => countFailure(event, tx, limits));
      if (alert === null) return;
      ctx.log.info({ failed: alert.failed }, "too many messages failed, telling Slack");
      await ctx.once("post", async () => {
        const response = await fetchOk(webhookUrl, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ text: alertText(alert, limits) }),
          signal: ctx.signal,
        });
        await response.body?.cancel();
      });
    },
    erase: (subject: ErasedSubject, ctx: EffectEraseContext<Tables>) =>
      ctx.transaction((tx) => erasePerson(subject, tx)),
  });
}
