import { createGuard, createSender, isSuccess, type Sender } from "@penstock/dispatch";
import type { NotifyConfig, OutboundConfig } from "@penstock/schemas";
import { createTransport } from "nodemailer";
import { type IssueMessage, toCard, toMail, toText } from "./issue-message.ts";

/** Where people are told of issues. */
export interface Channel {
  readonly name: string;
  /** Rejects, with what to tell an operator and never a secret, when the message was not taken. */
  tell(message: IssueMessage): Promise<void>;
  close(): Promise<void>;
}

const SMTP_TIMEOUT_MS = 20_000;

/** Opens what is configured. Webhooks go through the guard of endpoints: a URL into a private network has to be allowed. */
export function createChannels(
  { webhooks, mail }: NotifyConfig,
  { allow, ports }: Pick<OutboundConfig, "allow" | "ports">,
): Channel[] {
  const channels = webhooks.map(({ channel, url, format }): Channel => {
    const sender = createSender({ guard: createGuard({ allow, ports }), connectionsPerOrigin: 1 });
    const toBody = format === "text" ? toText : toCard;
    return {
      name: channel,
      tell: (message) => post(sender, url, toBody(message)),
      close: () => sender.close(),
    };
  });
  return mail === null ? channels : [...channels, mailChannel(mail)];
}

async function post(sender: Sender, url: string, body: object): Promise<void> {
  const answer = await sender.post({ url, headers: {}, body: Buffer.from(JSON.stringify(body)) });
  if (!answer.answered) throw new Error(`${answer.code}: ${answer.message}`);
  if (!isSuccess(answer.status)) throw new Error(`HTTP ${answer.status}: ${answer.body.slice(0, 200)}`);
}

function mailChannel({ smtpUrl, from, to }: NonNullable<NotifyConfig["mail"]>): Channel {
  const transport = createTransport(smtpUrl, {
    from,
    connectionTimeout: SMTP_TIMEOUT_MS,
    greetingTimeout: SMTP_TIMEOUT_MS,
    socketTimeout: SMTP_TIMEOUT_MS,
  } as never);
  return {
    name: "mail",
    async tell(message) {
      await transport.sendMail({ from, to: [...to], ...toMail(message) });
    },
    close: () => Promise.resolve(transport.close()),
  };
}
