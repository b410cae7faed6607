export const DELIVERY_STATES = ["pending", "running", "succeeded", "retrying", "dead", "skipped", "cancelled"] as const;

export type DeliveryState = (typeof DELIVERY_STATES)[number];

export const isDeliveryState = (value: unknown): value is DeliveryState =>
  DELIVERY_STATES.some((state) => state === value);
