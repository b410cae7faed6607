export { sliceJson, sliceJsonItems } from "@penstock/schemas";
export { z } from "zod";
export { buzzbip, signBuzzBip } from "./buzzbip.ts";
export type { Schema } from "./check-stored.ts";
export {
  type CheckedEvent,
  defineSource,
  type EventCheck,
  type EventIdentity,
  type EventProblem,
  type Handshake,
  type HandshakeAnswer,
  type HandshakeRequest,
  type HandshakeSecrets,
  requestOfBody,
  type SignedRequest,
  type Source,
  type SourceDefinition,
  type StoredContent,
  type Verification,
} from "./define-source.ts";
export { isEncoded } from "./content-encoding.ts";
export { defineSources, type NamedSource, type Sources } from "./define-sources.ts";
export { discord, type DiscordOptions } from "./discord.ts";
export { keyOfBody, keyOfId, ledgerHash } from "./event-key.ts";
export { github, type GitHubOptions } from "./github.ts";
export { hmac, type HmacOptions, type Place } from "./hmac.ts";
export { hubspot, type HubSpotOptions } from "./hubspot.ts";
export { fromUnixSeconds, type Identity } from "./identity.ts";
export { intercom } from "./intercom.ts";
export { linear, type LinearOptions } from "./linear.ts";
export { meta } from "./meta.ts";
export { microsoftGraph } from "./microsoft-graph.ts";
export { paddle, type PaddleOptions } from "./paddle.ts";
export { pagerduty } from "./pagerduty.ts";
export { type ParsedBody, parseFormBody, parseJsonBody } from "./parse-body.ts";
export { readRequestTarget, type RequestTarget } from "./request-target.ts";
export type { AskProvider, ProviderAnswer, Reconciliation, SentEvent, SentRequest } from "./reconciliation.ts";
export { sendgrid, type SendGridOptions } from "./sendgrid.ts";
export { shopify } from "./shopify.ts";
export { slack, type SlackOptions } from "./slack.ts";
export { square, type SquareOptions } from "./square.ts";
export { standardWebhooks, type StandardWebhooksOptions } from "./standard-webhooks.ts";
export { stripe, type StripeOptions } from "./stripe.ts";
export { trello, type TrelloOptions } from "./trello.ts";
export { twilio, type TwilioOptions } from "./twilio.ts";
export type { SourceOptions, SourceSettings } from "./source-options.ts";
export { type HmacClaim, verifyHmac } from "./verify-hmac.ts";
export { zendesk, type ZendeskOptions } from "./zendesk.ts";
export { zoom, type ZoomOptions } from "./zoom.ts";
