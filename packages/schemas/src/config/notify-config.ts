import { z } from "zod";

/** Who is told of issues that are new or have come back, checked. */
export type NotifyConfig = {
  /** Incoming webhooks of chats, by the name of their channel; `text`: `{"text": …}`, `card`: an adaptive card. */
  readonly webhooks: readonly { readonly channel: string; readonly url: string; readonly format: "text" | "card" }[];
  readonly mail: { readonly smtpUrl: string; readonly from: string; readonly to: readonly string[] } | null;
  /** After a message, how long what comes next is gathered for the next one. */
  readonly digestMs: number;
  /** Where people see an issue; `null`: messages have no links. */
  readonly consoleUrl: string | null;
};

const webhookUrl = z
  .string()
  .optional()
  .refine((text) => text === undefined || (/^https?:\/\//.test(text) && URL.canParse(text)), {
    error: "must be the URL of an incoming webhook, https://…",
  });

const addresses = z
  .string()
  .default("")
  .transform((text) =>
    text
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== ""),
  )
  .refine((list) => list.every((address) => /^[^\s@]+@[^\s@]+$/.test(address)), {
    error: "must be mail addresses, separated by commas",
  });

/** The variables that say who is told; what is a secret can be given as a file, too. */
export const notifyVariables = {
  NOTIFY_SLACK_URL: webhookUrl,
  NOTIFY_TEAMS_URL: webhookUrl,
  NOTIFY_SMTP_URL: z
    .string()
    .optional()
    .refine((text) => text === undefined || (/^smtps?:\/\//.test(text) && URL.canParse(text)), {
      error: "must be a URL that starts with smtp:// or smtps://, e.g. smtps://user:password@mail.example.com",
    }),
  NOTIFY_MAIL_FROM: z.string().default("Penstock <penstock@localhost>"),
  NOTIFY_MAIL_TO: addresses,
  NOTIFY_DIGEST_MINUTES: z
    .string()
    .regex(/^(?:0|[1-9]\d{0,3})$/, { error: "must be a whole number from 0 to 9999" })
    .default("10")
    .transform(Number),
  CONSOLE_URL: z
    .string()
    .optional()
    .refine((text) => text === undefined || (/^https?:\/\//.test(text) && URL.canParse(text)), {
      error: "must be the URL of the console, https://…",
    }),
} as const;

type Values = Readonly<z.output<z.ZodObject<typeof notifyVariables>>>;

export function toNotifyConfig(values: Values): NotifyConfig {
  const { NOTIFY_SLACK_URL, NOTIFY_TEAMS_URL, NOTIFY_SMTP_URL, NOTIFY_MAIL_TO, CONSOLE_URL } = values;
  const hasMail = NOTIFY_SMTP_URL !== undefined && NOTIFY_MAIL_TO.length > 0;
  return {
    webhooks: [
      ...(NOTIFY_SLACK_URL === undefined ? [] : [{ channel: "slack", url: NOTIFY_SLACK_URL, format: "text" as const }]),
      ...(NOTIFY_TEAMS_URL === undefined ? [] : [{ channel: "teams", url: NOTIFY_TEAMS_URL, format: "card" as const }]),
    ],
    mail: hasMail ? { smtpUrl: NOTIFY_SMTP_URL, from: values.NOTIFY_MAIL_FROM, to: NOTIFY_MAIL_TO } : null,
    digestMs: values.NOTIFY_DIGEST_MINUTES * 60_000,
    consoleUrl: CONSOLE_URL?.replace(/\/+$/, "") ?? null,
  };
}
