import { createContext, type ReactNode, use, useEffect, useState } from "react";

export type Language = "en" | "it";

/** A text, or one for each form that a count takes. `{name}` is filled in. */
type Text = string | { readonly one: string; readonly other: string };

/** The texts of a page or a part, in each language. */
export interface Texts<Key extends string> {
  readonly en: Readonly<Record<Key, Text>>;
  readonly it: Readonly<Record<Key, Text>>;
}

/** Declares texts: Italian has exactly the keys of English. */
export const defineTexts = <const Key extends string>(texts: Texts<Key>): Texts<Key> => texts;

type Values = Readonly<Record<string, string | number>>;

const KEY = "penstock-language";

const Context = createContext<{ language: Language; setLanguage: (language: Language | null) => void }>({
  language: "en",
  setLanguage: () => undefined,
});

/** The language of the page: the one that was chosen, else the browser's. */
export function LanguageProvider({ children }: { children: ReactNode }) {
  const [chosen, choose] = useState(() => localStorage.getItem(KEY));
  const language: Language = chosen === "it" || chosen === "en" ? chosen : browserLanguage();
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const setLanguage = (next: Language | null): void => {
    if (next === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
    choose(next);
  };
  return <Context value={{ language, setLanguage }}>{children}</Context>;
}

const browserLanguage = (): Language => (navigator.language.toLowerCase().startsWith("it") ? "it" : "en");

/** How times and numbers are written: as the browser's own variant of the language does, e.g. en-GB. */
export const localeOf = (language: Language): string =>
  navigator.languages.find((each) => each.toLowerCase().startsWith(language)) ?? language;

/** The language, and how to choose it: null is that of the browser. */
export const useLanguage = () => use(Context);

/**
 * The texts of a page in the language of the page.
 *
 * @example
 * const t = useTexts(texts);
 * t("found", { count: 3 }); // where found is { one: "{count} event", other: "{count} events" }
 */
export function useTexts<Key extends string>(texts: Texts<Key>): (key: Key, values?: Values) => string {
  const { language } = useLanguage();
  return (key, values = {}) => {
    const text = texts[language][key];
    const form = typeof text === "string" ? text : text[pluralOf(language, values["count"])];
    return form.replaceAll(/\{(\w+)\}/g, (whole, name: string) => {
      const value = values[name];
      if (value === undefined) return whole;
      return typeof value === "number" ? value.toLocaleString(language) : value;
    });
  };
}

const pluralOf = (language: Language, count: string | number | undefined): "one" | "other" =>
  new Intl.PluralRules(language).select(Number(count)) === "one" ? "one" : "other";
