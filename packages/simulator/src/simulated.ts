import { buzzbip } from "@penstock/sources";

/** The provider that the simulator plays, as `npm start` and `penstock send` know it. */
export const SIMULATED = {
  /** For people. */
  name: "BuzzBip",
  /** The name of its source in penstock.sources.ts. */
  source: "buzzbip",
  /** The variable that holds the secrets of that source. */
  secretsFrom: "BUZZBIP_SIGNING_SECRETS",
  signatureHeader: buzzbip().plainSignatureHeader,
} as const;
