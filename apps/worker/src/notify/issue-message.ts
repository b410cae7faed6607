import type { IssueKind } from "@penstock/schemas";
import type { IssueDigest } from "@penstock/store";

type Told = IssueDigest["issues"][number];

const KINDS: Readonly<Record<IssueKind, string>> = {
  "dead-letter": "Dead letters of",
  quarantine: "Quarantine of",
  refused: "Refused requests of",
  "failing-endpoint": "Endpoint down:",
  "blocked-lane": "Blocked lanes of",
  "silent-source": "Silent source:",
};

/** A message about issues: one line to read on a phone, then one for each issue. */
export interface IssueMessage {
  readonly headline: string;
  readonly lines: readonly { readonly text: string; readonly url: string | null }[];
  /** How to go on where nothing links to it. */
  readonly advice: string;
}

export function toIssueMessage({ issues, total }: IssueDigest, consoleUrl: string | null): IssueMessage {
  const [first] = issues;
  const headline =
    total === 1 && first !== undefined ? `Penstock: ${describe(first)}` : `Penstock: ${total} issues need a person`;
  const lines = issues.map((issue) => ({
    text: `#${issue.id} ${describe(issue)}`,
    url: consoleUrl === null ? null : `${consoleUrl}/issues/${issue.id}`,
  }));
  const rest = total - issues.length;
  return {
    headline,
    lines: rest > 0 ? [...lines, { text: `and ${rest} more`, url: consoleUrl && `${consoleUrl}/issues` }] : lines,
    advice: "penstock issues list",
  };
}

function describe({ kind, subject, title, count, reopened }: Told): string {
  const times = count === 1 ? "" : ` (${count} times)`;
  return `${KINDS[kind]} ${subject}: ${title}${times}${reopened ? ", has come back" : ""}`;
}

/** As most chats take it, by `{"text": …}`; what has a meaning in their markup is escaped. */
export function toText({ headline, lines, advice }: IssueMessage): object {
  const escape = (text: string): string =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const list = lines.map(({ text, url }) => (url === null ? `• ${escape(text)}` : `• <${url}|${escape(text)}>`));
  const end = lines.some(({ url }) => url !== null) ? [] : [`\`${advice}\``];
  return { text: [`*${escape(headline)}*`, ...list, ...end].join("\n") };
}

/** As an adaptive card. Its texts are Markdown, in which a title could make links: they are told apart as plain runs. */
export function toCard({ headline, lines, advice }: IssueMessage): object {
  const run = (text: string, more: object = {}): object => ({
    type: "RichTextBlock",
    inlines: [{ type: "TextRun", text, ...more }],
  });
  const body = [
    run(headline, { weight: "Bolder", size: "Medium" }),
    ...lines.map(({ text, url }) => run(text, url === null ? {} : { selectAction: { type: "Action.OpenUrl", url } })),
    ...(lines.some(({ url }) => url !== null) ? [] : [run(advice, { fontType: "Monospace" })]),
  ];
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body,
  };
  return {
    type: "message",
    attachments: [{ contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content }],
  };
}

/** As a mail's subject and text. */
export function toMail({ headline, lines, advice }: IssueMessage): { readonly subject: string; readonly text: string } {
  const list = lines.map(({ text, url }) => (url === null ? text : `${text}\n  ${url}`));
  return { subject: headline.slice(0, 150), text: `${[headline, "", ...list, "", advice].join("\n")}\n` };
}
