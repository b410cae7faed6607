import { buzzbip, defineSources } from "@penstock/sources";

// Who may send webhooks.
export default defineSources({ buzzbip: buzzbip() });
