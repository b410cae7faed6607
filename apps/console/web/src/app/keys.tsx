import { createContext, type ReactNode, use, useEffect, useRef, useState } from "react";

/** A key that does something on the page that is shown. */
export interface KeyHint {
  /** `/`, `j`, or two that are typed one after another: `g e`. */
  readonly keys: string;
  readonly does: string;
}

interface Registered extends KeyHint {
  readonly run: () => void;
}

const SECOND_KEY_MS = 1_500;

const Context = createContext<{ add: (keys: readonly Registered[]) => () => void; list: () => readonly KeyHint[] }>({
  add: () => () => undefined,
  list: () => [],
});

/** Hears the keys that pages and parts ask for, while nobody is typing. */
export function KeysProvider({ children }: { children: ReactNode }) {
  const groups = useRef(new Set<readonly Registered[]>());
  const [value] = useState(() => ({
    add: (keys: readonly Registered[]) => {
      groups.current.add(keys);
      return () => void groups.current.delete(keys);
    },
    list: () => [...groups.current].flat(),
  }));
  useEffect(() => {
    let first: { key: string; at: number } | null = null;
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
      const all = [...groups.current].flat();
      const recent = first !== null && event.timeStamp - first.at < SECOND_KEY_MS ? `${first.key} ${event.key}` : null;
      const found = all.findLast(({ keys }) => keys === recent) ?? all.findLast(({ keys }) => keys === event.key);
      first = all.some(({ keys }) => keys.startsWith(`${event.key} `)) ? { key: event.key, at: event.timeStamp } : null;
      if (found === undefined) return;
      event.preventDefault();
      found.run();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  return <Context value={value}>{children}</Context>;
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable || target.matches("input, textarea, select") || target.closest("[role=dialog]") !== null
  );
}

/** Has keys do something while this part is shown. */
export function useKeys(keys: readonly Registered[]): void {
  const { add } = use(Context);
  const latest = useRef(keys);
  useEffect(() => {
    latest.current = keys;
  });
  const signature = keys.map((key) => `${key.keys}=${key.does}`).join("\n");
  useEffect(
    () => add(latest.current.map((key, at) => ({ ...key, run: () => latest.current[at]?.run() }))),
    // Those that are heard change with what they are, and do what they do now.
    [add, signature],
  );
}

/** All keys that do something now. */
export const useKeyHints = (): (() => readonly KeyHint[]) => use(Context).list;
