import { draw } from "./draw.ts";

/**
 * Which event each request carries: event numbers from 0 to `count - 1`, each `copies` times. In order, copies right
 * after one another, or in a random order in which every arrangement is equally likely.
 */
export function sendingOrder({
  count,
  copies,
  shuffle,
  seed,
}: {
  count: number;
  copies: number;
  shuffle: boolean;
  seed: number;
}): Uint32Array {
  const order = Uint32Array.from({ length: count * copies }, (_, position) => Math.floor(position / copies));
  if (shuffle) {
    for (let last = order.length - 1; last > 0; last--) {
      const chosen = Math.floor(draw(seed, "shuffle", last) * (last + 1));
      const moved = order[last] ?? 0;
      order[last] = order[chosen] ?? 0;
      order[chosen] = moved;
    }
  }
  return order;
}
