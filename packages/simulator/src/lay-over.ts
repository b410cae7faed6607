/** Fields that are laid over those of an event, objects into objects; anything else, arrays too, takes the place of what was there. */
export type Overlay = Readonly<Record<string, unknown>>;

export function layOver(base: Readonly<Record<string, unknown>>, overlay: Overlay): Record<string, unknown> {
  const result: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(overlay)) {
    const before = Object.hasOwn(base, name) ? base[name] : undefined;
    // Defined and not assigned: __proto__ is a field like any other.
    Object.defineProperty(result, name, {
      value: isObject(value) && isObject(before) ? layOver(before, value) : value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return result;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
