export {
  createGuard,
  type Guard,
  type GuardOptions,
  type Refusal,
  RefusedAddressError,
  type ResolvedAddress,
  type Rule,
} from "./guard.ts";
export {
  fingerprintOf,
  generateMasterKey,
  type Keyring,
  openAll,
  openSourceSecret,
  parseMasterKeys,
  SealError,
  sealSourceSecret,
} from "./seal.ts";
export { type Answer, createSender, isSuccess, type Post, type Sender, type SenderOptions } from "./sender.ts";
export { generateSecret, isWebhookId, signatureHeaders, type ToSign } from "./sign.ts";
