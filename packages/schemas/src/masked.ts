import { z } from "zod";
import { MASK } from "./mask-body.ts";
import { normaliseMessage } from "./normalise-message.ts";

/** How a text is shown to those who may not see payloads; `beside`: the object that the text stands in. */
interface Masking {
  readonly mask: (text: string, beside: Readonly<Record<string, unknown>>) => string;
}

/** The texts of answers that may quote a payload, by their schemas. The console masks them where an answer leaves it. */
export const maskings = z.registry<Masking>();

/** Of a try whose endpoint answered with an error: its message is what the receiver answered. */
const ANSWERED = /^HTTP \d{3}$/;
const CLASS = /^((?:HTTP \d{3})|[A-Za-z_$][\w$.]*): (.*)$/s;

const mask = (errorClass: unknown, message: string): string =>
  typeof errorClass === "string" && ANSWERED.test(errorClass) ? MASK : normaliseMessage(message);

const shown = "without answers of receivers, quotes, numbers, ids and addresses for those who may not see payloads";

/** What an error said; its class stands beside it as `errorClass`. */
export const errorMessage = z
  .string()
  .describe(shown)
  .register(maskings, { mask: (message, { errorClass }) => mask(errorClass, message) });

/** The class of an error and what it said: `TypeError: no name`. */
export const errorLine = z
  .string()
  .describe(shown)
  .register(maskings, {
    mask(line) {
      const [, errorClass, message] = CLASS.exec(line) ?? [];
      return errorClass === undefined ? normaliseMessage(line) : `${errorClass}: ${mask(errorClass, message ?? "")}`;
    },
  });

/** A statement: literals may hold what an event says, parameters do not. */
export const statementText = z.string().register(maskings, {
  mask: (text) => text.replace(/(?:'|\$(?:[a-z_]\w*)?\$)(?:.*(?:'|\$(?:[a-z_]\w*)?\$)|.*)/is, `'${MASK}'`),
});

/** A value of a header. */
export const headerValue = z.string().register(maskings, { mask: () => MASK });
