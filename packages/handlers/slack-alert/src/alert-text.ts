import type { Alert, Limits } from "./count-failure.ts";

/** What is posted: Slack's own markup, and a line that says what to do. */
export function alertText(
  { failed, untilMs, reasons, channels }: Alert,
  limits: Pick<Limits, "windowMs" | "cooldownMs">,
) {
  const [first, ...others] = reasons;
  const lines = [
    `:rotating_light: *${failed} messages failed within ${inWords(limits.windowMs)}*, the last at ${time(untilMs)}`,
  ];
  if (first !== undefined) {
    const says = first.message === null || first.message === first.reason ? "" : `: ${plain(first.message)}`;
    lines.push(`Most frequent: ${code(first.reason)} (${first.failed} of ${failed})${says}`);
    if (others.length > 0) lines.push(`Also: ${others.map((one) => `${code(one.reason)} (${one.failed})`).join(", ")}`);
    if (channels.length > 0)
      lines.push(`By: ${channels.map((one) => `${plain(one.channel)} (${one.failed})`).join(", ")}`);
    const { source, eventId, messageId, conversationId, contactId } = first.example;
    lines.push(
      `For example: message ${code(messageId)}, conversation ${code(conversationId)}, contact ${code(contactId)}, source ${plain(source)}`,
      `Look: ${code(`penstock events show ${eventId}`)}`,
    );
  }
  lines.push(`_No other alert before ${time(untilMs + limits.cooldownMs)}._`);
  return lines.join("\n");
}

/** In the time zone of whoever reads it; in UTC where Slack does not know. */
function time(ms: number): string {
  return `<!date^${Math.floor(ms / 1_000)}^{time_secs}|${new Date(ms).toISOString().slice(11, 19)} UTC>`;
}

function inWords(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  return minutes < 1 ? `${Math.round(ms / 1_000)} s` : `${minutes} min`;
}

/** Nothing that a provider sent may be markup: `<!channel>` would wake everybody. */
function plain(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll(/\s+/g, " ");
}

function code(text: string): string {
  return `\`${plain(text).replaceAll("`", "'")}\``;
}
