import { createHmac } from "node:crypto";

/** Events that are made alike everywhere: those of one tag are told apart by their number. */
export interface EventSeries {
  /** Six characters; the id of an event is `evt_<tag>_<number>`. */
  readonly tag: string;
  readonly payloadBytes: number;
  /** The events are spread evenly over so many contacts. */
  readonly contacts: number;
}

export const SECRET = "whsec_0123456789abcdef0123456789abcdef";

/** The exact body of an event, of just as many bytes as asked for. */
export function eventBody({ tag, payloadBytes, contacts }: EventSeries, number: number): string {
  const digits = String(number).padStart(8, "0");
  const contact = String(number % contacts).padStart(8, "0");
  const start =
    `{"id":"evt_${tag}_${digits}","type":"message.received","createdAt":"${CREATED_AT}",` +
    `"data":{"messageId":"msg_${tag}_${digits}","conversationId":"conv_${contact}","contactId":"cnt_${contact}",` +
    `"channel":"whatsapp","from":"+21612345678","to":"+21687654321","body":"`;
  return `${start}${filling(payloadBytes - start.length - 3)}"}}`;
}

/** The whole HTTP request with an event, signed. */
export function eventRequest(series: EventSeries, number: number): string {
  const body = eventBody(series, number);
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  return (
    "POST /webhooks/buzzbip HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" +
    `X-BuzzBip-Signature: ${signature}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  );
}

/** The number of an event by its id. */
export function eventNumber(id: string): number {
  return Number(id.slice(-8));
}

const CREATED_AT = new Date().toISOString();
const TEXT = "Hello, I need help with my order, please. ";
const fillings = new Map<number, string>();

function filling(length: number): string {
  if (length < 0) throw new Error("the payload is too small for an event");
  let text = fillings.get(length);
  if (text === undefined) fillings.set(length, (text = TEXT.repeat(length / TEXT.length + 1).slice(0, length)));
  return text;
}
