import { createCipheriv, createDecipheriv, hash, randomBytes } from "node:crypto";

/** Thrown when what was sealed cannot be opened. Says nothing of what is inside. */
export class SealError extends Error {
  /** UNKNOWN_KEY: sealed with a master key that is not given. TAMPERED: not what was sealed, or not for this place. */
  readonly code: "UNKNOWN_KEY" | "TAMPERED";

  constructor(code: "UNKNOWN_KEY" | "TAMPERED", message: string) {
    super(message);
    this.code = code;
  }
}

/** Seals texts for storage by AES-256-GCM. The first master key seals; all of them open. */
export interface Keyring {
  /** Of the key that seals: the first 8 hex digits of its SHA-256. */
  readonly keyId: string;
  /**
   * `v1.<key id>.<base64url of nonce, ciphertext and tag>`. `aad` is not stored and has to be given again to open it: the
   * place it is kept at (`endpoint ep_1`), so that one sealed text cannot stand in for another.
   */
  seal(plain: string, aad: string): string;
  /** Throws a `SealError`. */
  open(sealed: string, aad: string): string;
}

/** Those of the sealed texts of one place that the keys at hand open: what is left of a key that has gone. */
export function openAll(keyring: Keyring, sealed: readonly string[], aad: string): string[] {
  return sealed.flatMap((one) => {
    try {
      return [keyring.open(one, aad)];
    } catch (error) {
      if (error instanceof SealError) return [];
      throw error;
    }
  });
}

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const BASE64_KEY = /^[A-Za-z0-9+/]{43}=$/;
const SEALED = /^v1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)$/;

/** A new master key: 32 random bytes in base64. */
export function generateMasterKey(): string {
  return randomBytes(KEY_BYTES).toString("base64");
}

/**
 * Reads PENSTOCK_MASTER_KEY: keys of 32 bytes in base64, separated by commas, the one that seals first. To rotate, put a
 * new one in front; the old one can go when nothing sealed with it is left. Throws an error that does not quote the text.
 */
export function parseMasterKeys(text: string): Keyring {
  const given = text.split(",").map((one) => one.trim());
  const keys = given.map((one, index): [id: string, key: Buffer] => {
    const key = BASE64_KEY.test(one) ? Buffer.from(one, "base64") : undefined;
    if (key?.length !== KEY_BYTES) {
      const which = given.length === 1 ? "It" : `Key ${index + 1} of ${given.length}`;
      throw new Error(
        `${which} must be 32 bytes in base64 (44 characters, the last one =), keys separated by commas. ` +
          "Make one by: openssl rand -base64 32",
      );
    }
    return [hash("sha256", key, "hex").slice(0, 8), key];
  });
  const byId = new Map(keys);
  if (byId.size < keys.length) throw new Error("A master key is given twice.");
  const [[keyId, sealing]] = keys as [[string, Buffer]];

  return {
    keyId,
    seal(plain, aad) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", sealing, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(aad));
      const sealed = Buffer.concat([nonce, cipher.update(plain, "utf8"), cipher.final(), cipher.getAuthTag()]);
      return `v1.${keyId}.${sealed.toString("base64url")}`;
    },
    open(sealed, aad) {
      const [, id, text] = SEALED.exec(sealed) ?? [];
      const bytes = Buffer.from(text ?? "", "base64url");
      if (id === undefined || bytes.length < NONCE_BYTES + TAG_BYTES) throw tampered();
      const key = byId.get(id);
      if (key === undefined) {
        throw new SealError(
          "UNKNOWN_KEY",
          `Sealed with the master key ${id}, which is not among those given: add it to PENSTOCK_MASTER_KEY.`,
        );
      }
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(aad));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      const opened = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
      try {
        return Buffer.concat([opened, decipher.final()]).toString("utf8");
      } catch {
        throw tampered();
      }
    },
  };
}

function tampered(): SealError {
  return new SealError("TAMPERED", "This is not what was sealed, or it was sealed for another place.");
}

/**
 * What tells the secrets of one place apart, for people and for marks in a database: 8 hex digits. So few of them fit so many
 * secrets that they tell nothing of this one.
 */
export function fingerprintOf(secret: string, place: string): string {
  return hash("sha256", `${place}\0${secret}`, "hex").slice(0, 8);
}

/** A secret of a source, as it is kept. */
export interface SealedSourceSecret {
  readonly source: string;
  readonly fingerprint: string;
  readonly sealed: string;
}

const placeOf = (source: string, fingerprint: string): string => `source ${source} ${fingerprint}`;

/** Seals a secret of a source. */
export function sealSourceSecret(keyring: Keyring, source: string, secret: string): SealedSourceSecret {
  const fingerprint = fingerprintOf(secret, source);
  return { source, fingerprint, sealed: keyring.seal(secret, placeOf(source, fingerprint)) };
}

/** Opens what {@link sealSourceSecret} has sealed. Throws a `SealError`. */
export function openSourceSecret(keyring: Keyring, { source, fingerprint, sealed }: SealedSourceSecret): string {
  return keyring.open(sealed, placeOf(source, fingerprint));
}
