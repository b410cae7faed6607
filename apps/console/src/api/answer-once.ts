import { createHash } from "node:crypto";
import { beginIdempotent, endIdempotent, forgetIdempotent, type Store } from "@penstock/store";
import type { Request } from "express";
import { Problem } from "./problem.ts";

export interface Write {
  /** Each has keys of their own. */
  readonly caller: string;
  readonly route: string;
  readonly input: object;
  /** The answer is not kept. */
  readonly secret: boolean;
  readonly req: Request;
}

/** Does a write once per Idempotency-Key, and answers the request that is sent again as the first was. */
export type AnswerOnce = (write: Write, run: () => Promise<unknown>) => Promise<unknown>;

const MAX_KEY = 255;

export function createAnswerOnce(store: Store): AnswerOnce {
  return async function answerOnce({ caller, route, input, secret, req }, run) {
    const key = req.get("idempotency-key");
    if (key === undefined) return run();
    if (key === "" || key.length > MAX_KEY)
      throw new Problem(400, `Idempotency-Key must have 1 to ${MAX_KEY} characters`);
    const id = { caller, key };
    const hash = createHash("sha256")
      .update(JSON.stringify([route, input]))
      .digest();
    const known = await beginIdempotent(store, id, hash);
    if (known.state === "other-request") {
      throw new Problem(422, "This Idempotency-Key was used for another request", {
        detail: "Use a new key for each.",
      });
    }
    if (known.state === "running") {
      throw new Problem(409, "The request with this Idempotency-Key is still under way", {
        detail: "Look at what it changes before you send it again.",
      });
    }
    if (known.state === "done") {
      if (secret) throw new Problem(409, "This was done before, and its answer held a secret that is not kept");
      return known.answer ?? undefined;
    }
    let answer: unknown;
    try {
      answer = await run();
    } catch (error) {
      // A refusal changed nothing. What became of anything else is not known, and stays under way.
      if (error instanceof Problem) await forgetIdempotent(store, id);
      throw error;
    }
    await endIdempotent(store, id, { status: 200, answer: secret ? undefined : answer });
    return answer;
  };
}
