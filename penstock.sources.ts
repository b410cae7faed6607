import { buzzbip, defineSources } from "@penstock/sources";

// Who may send webhooks: each source under its name, which is its path, /webhooks/<name>, and where its secrets are,
// <NAME>_SIGNING_SECRETS. docs/sources.md has the providers that are there, and how to make one of your own.
export default defineSources({ buzzbip: buzzbip() });
