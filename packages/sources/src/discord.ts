import { defineSource, type Source } from "./define-source.ts";
import { idOfBody } from "./event-key.ts";
import { isJsonObject } from "./parse-body.ts";
import { checkTolerance, type SourceOptions } from "./source-options.ts";
import { isWholeTimestamp, MALFORMED, MISSING, signaturesIn, withinTolerance } from "./verification.ts";
import { keepKeys, toEd25519Key, verifyPublicKey } from "./verify-public-key.ts";

export interface DiscordOptions extends SourceOptions {
  /** How far the signed time may be from ours; 300 unless given, 0 for any. */
  readonly toleranceSeconds?: number;
}

/**
 * Discord's webhook events: `X-Signature-Ed25519` (hex) over the seconds of `X-Signature-Timestamp` and the body; the secret
 * is the application's public key, in hex. PING is answered by itself, that of interactions too. Types are Discord's,
 * `discord.ENTITLEMENT_CREATE`; `data` is the whole body. Events have no id: it is a hash of the body. Interactions, which
 * want an answer of their own, are `discord.interaction` and get none but 204.
 *
 * https://docs.discord.com/developers/events/webhook-events
 */
export function discord(options: DiscordOptions = {}): Source {
  const toleranceSeconds = options?.toleranceSeconds ?? 300;
  return defineSource(
    {
      provider: "discord",
      types: ["APPLICATION_AUTHORIZED", "APPLICATION_DEAUTHORIZED", "ENTITLEMENT_CREATE", "interaction"],
      acceptedStatus: 204,
      options: ["toleranceSeconds"],
      problems: checkTolerance(options?.toleranceSeconds),
      verify({ header, body }, secrets, now) {
        const [signature, timestamp] = [header("x-signature-ed25519"), header("x-signature-timestamp")];
        if (!signature || !timestamp) return MISSING;
        if (!isWholeTimestamp(timestamp)) return MALFORMED;
        const signatures = signaturesIn(signature)
          .filter((one) => /^[0-9A-Fa-f]{128}$/.test(one))
          .map((one) => Buffer.from(one, "hex"));
        const verification = verifyPublicKey({ signatures, digest: null, content: [timestamp, body], keyOf }, secrets);
        return withinTolerance(verification, timestamp, toleranceSeconds, now);
      },
      handshake({ verified }, { type, event }) {
        // Of webhook events 0 is a PING, and 1 has an event with it; of interactions 1 is a PING.
        if (!verified || event !== undefined) return null;
        if (type === 0) return { status: 204, contentType: "application/json", body: "" };
        return type === 1 ? { contentType: "application/json", body: '{"type":1}' } : null;
      },
      identify({ body }, { id, type, event, application_id: application, guild_id: guild, channel_id: channel }) {
        if (!isJsonObject(event)) {
          const isInteraction = typeof type === "number" && type > 1;
          return { id, type: isInteraction && "interaction", subjects: [channel, guild, application] };
        }
        const about = isJsonObject(event["data"]) ? event["data"] : {};
        const user = isJsonObject(about["user"]) ? about["user"]["id"] : about["user_id"];
        return {
          id: idOfBody(body),
          type: event["type"],
          createdAt: toUtc(event["timestamp"]),
          subjects: [user, about["id"], application],
        };
      },
      checkSecret: (secret) => (keyOf(secret) === null ? "must be the application's public key: 64 hex digits" : null),
    },
    options,
  );
}

/** Discord leaves out the zone of its times, which are in UTC. */
function toUtc(time: unknown): unknown {
  return typeof time === "string" && /T[\d:.]+$/.test(time) ? `${time}Z` : time;
}

const keyOf = keepKeys((secret) =>
  /^[0-9A-Fa-f]{64}$/.test(secret) ? toEd25519Key(Buffer.from(secret, "hex")) : null,
);
