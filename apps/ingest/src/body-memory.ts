/** Of each body so much is always taken: ordinary webhooks are not turned away because somebody sends large ones. */
const FREE_BYTES = 65_536;

/** What the bodies of all requests take together, from the first byte that is read until the sender is answered. */
export interface BodyMemory {
  /** For one request. */
  hold(): HeldBody;
}

export interface HeldBody {
  /** Whether there is room for a body that announces so many bytes. Nothing is taken for it. */
  fits(bytes: number): boolean;
  /** Takes so many bytes more; false, and nothing is taken, where there is no room for them. */
  take(bytes: number): boolean;
  release(): void;
}

/** Bytes count as they come, not as they are announced: who announces much and sends nothing takes no room from others. */
export function createBodyMemory(maxBytes: number): BodyMemory {
  let total = 0;
  return {
    hold() {
      let mine = 0;
      const fits = (bytes: number): boolean => total + bytes <= maxBytes || mine + bytes <= FREE_BYTES;
      return {
        fits,
        take(bytes) {
          if (!fits(bytes)) return false;
          mine += bytes;
          total += bytes;
          return true;
        },
        release() {
          total -= mine;
          mine = 0;
        },
      };
    },
  };
}
