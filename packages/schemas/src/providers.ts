/**
 * The providers whose sources come with Penstock, by name. Code outside of packages/sources, packages/simulator and this
 * package names none of them (tools/provider-names.ts): what hangs on a provider is a property of its source.
 */
export const PROVIDERS = [
  "buzzbip",
  "discord",
  "github",
  "hubspot",
  "intercom",
  "linear",
  "meta",
  "microsoft-graph",
  "paddle",
  "pagerduty",
  "sendgrid",
  "shopify",
  "slack",
  "square",
  "standard-webhooks",
  "stripe",
  "trello",
  "twilio",
  "zendesk",
  "zoom",
] as const;

/** The providers that stand in front of the types of their events. */
export type PrefixedProvider = Exclude<(typeof PROVIDERS)[number], "buzzbip">;
