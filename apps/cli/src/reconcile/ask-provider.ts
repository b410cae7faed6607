import { setTimeout as delay } from "node:timers/promises";
import { parseTime, wallClockMs } from "@penstock/schemas";
import type { AskProvider, ProviderAnswer } from "@penstock/sources";
import { CliError } from "../cli-error.ts";
import { printable } from "../output/printable.ts";

const TIMEOUT_MS = 30_000;
/** Waits before the next tries where the provider names none: it is away, or has too much to do. */
const BACKOFF_MS = [500, 2_000, 8_000];
/** A person does not wait for longer, and comes back. */
const LONGEST_WAIT_MS = 120_000;
const MAX_MESSAGE_LENGTH = 200;

interface AskOptions {
  /** The variable that holds the key, and what the provider wants it to be. */
  readonly apiKeyFrom: string;
  readonly needs: string;
  readonly apiKey: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Tells a person why nothing happens. */
  say(text: string): void;
}

/** Asks the API of a provider: see `AskProvider`. @throws CliError that says what is wrong and what to do. */
export function createAskProvider({ apiKeyFrom, needs, apiKey, headers, say }: AskOptions): AskProvider {
  /** What the provider says is wrong, of its JSON; never with the key in it. */
  const saidBy = (body: Buffer): string => {
    const said = messageIn(body).replaceAll(apiKey, "…").slice(0, MAX_MESSAGE_LENGTH);
    return said === "" ? "" : ` It says: ${printable(said)}`;
  };

  /** The answer, or how long to wait before the next try; null: there is to be none. */
  function judge(url: string, response: Response, body: Buffer, tries: number): ProviderAnswer | number {
    const { status, headers: got } = response;
    if (response.ok) return { body, header: (name) => got.get(name) };
    const { host } = new URL(url);
    const asked = askedWaitMs(got);
    const isLimit = status === 429 || (status === 403 && asked !== null);
    if (isLimit || status >= 500) {
      const waitMs = asked ?? BACKOFF_MS[tries];
      if (waitMs !== undefined && waitMs <= LONGEST_WAIT_MS && tries < BACKOFF_MS.length) return waitMs;
      const why = isLimit ? `asks for fewer requests (${status})` : `fails (${status})`;
      const wait = asked === null ? "" : ` for ${Math.ceil(asked / 60_000)} min`;
      throw new CliError(`${host} ${why}: wait${wait}, and run it again.${saidBy(body)}`);
    }
    if (status === 401) {
      throw new CliError(`${host} refuses the API key in ${apiKeyFrom} (401): it takes ${needs}.${saidBy(body)}`);
    }
    if (status === 403 || status === 404) {
      throw new CliError(
        `${host} does not show this with the API key in ${apiKeyFrom} (${status}): it takes ${needs}; and see that penstock.sources.ts names what is there.${saidBy(body)}`,
      );
    }
    throw new CliError(`${host} answers ${status} to ${printable(new URL(url).pathname)}.${saidBy(body)}`);
  }

  return async (url) => {
    for (let tries = 0; ; tries++) {
      let waitMs: number;
      try {
        const signal = AbortSignal.timeout(TIMEOUT_MS);
        const response = await fetch(url, { headers: { "user-agent": "penstock", ...headers }, signal });
        const judged = judge(url, response, Buffer.from(await response.arrayBuffer()), tries);
        if (typeof judged === "object") return judged;
        waitMs = judged;
        if (waitMs >= 1_000) say(`${new URL(url).host} asks to wait for ${Math.ceil(waitMs / 1_000)} s.`);
      } catch (error) {
        if (error instanceof CliError) throw error;
        const left = BACKOFF_MS[tries];
        if (left === undefined) {
          const reason = error instanceof Error ? causeOf(error) : String(error);
          throw new CliError(`${new URL(url).host} cannot be reached: ${printable(reason)}`, { cause: error });
        }
        waitMs = left;
      }
      await delay(waitMs);
    }
  };
}

/** How long the provider wants to be left alone: by Retry-After, or by when its limit begins anew; null: it does not say. */
function askedWaitMs(headers: Headers): number | null {
  const after = headers.get("retry-after");
  if (after !== null) {
    const seconds = /^\d{1,9}$/.test(after) ? Number(after) : undefined;
    const at = seconds === undefined ? parseTime(after) : null;
    if (seconds !== undefined) return seconds * 1_000;
    if (at !== null) return Math.max(0, at.getTime() - wallClockMs());
  }
  const reset = headers.get("x-ratelimit-reset");
  if (headers.get("x-ratelimit-remaining") !== "0" || reset === null || !/^\d{1,12}$/.test(reset)) return null;
  return Math.max(0, Number(reset) * 1_000 - wallClockMs());
}

function messageIn(body: Buffer): string {
  try {
    const { message, error } = JSON.parse(body.toString()) as { message?: unknown; error?: { message?: unknown } };
    const said = error?.message ?? message;
    return typeof said === "string" ? said : "";
  } catch {
    return "";
  }
}

const causeOf = (error: Error): string => (error.cause instanceof Error ? error.cause.message : error.message);
