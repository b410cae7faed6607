import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { api } from "../app/api.ts";
import { KeysProvider, useKeys } from "../app/keys.tsx";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { meQuery } from "../app/query-client.ts";
import icon from "../icon.svg";
import { applyTheme } from "../app/theme.ts";
import { KeysDialog } from "./keys-dialog.tsx";
import { NAVIGATION, navigationTexts } from "./navigation.ts";
import { useMayOperate } from "./use-role.ts";

const texts = defineTexts({
  en: {
    skip: "Skip to content",
    navigation: "Main navigation",
    keys: "Keys",
    signOut: "Sign out",
    showKeys: "Show the keys",
    goTo: "Go to {page}",
    masked: "Payloads are masked for you",
    needsRole: "for operators",
  },
  it: {
    skip: "Vai al contenuto",
    navigation: "Navigazione principale",
    keys: "Tasti",
    signOut: "Esci",
    showKeys: "Mostra i tasti",
    goTo: "Vai a {page}",
    masked: "Per te i contenuti sono mascherati",
    needsRole: "per gli operatori",
  },
});

/** What surrounds every page of those who are signed in: navigation, keys, who they are. */
export function Shell() {
  return (
    <KeysProvider>
      <Frame />
    </KeysProvider>
  );
}

function Frame() {
  const t = useTexts(texts);
  const nav = useTexts(navigationTexts);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { data: me } = useQuery(meQuery);
  const [showsKeys, setShowsKeys] = useState(false);
  usePreferences(me ?? null);
  const mayOperate = useMayOperate();
  const isFor = (item: (typeof NAVIGATION)[number]): boolean => mayOperate || !("writes" in item);
  useKeys([
    { keys: "?", does: t("showKeys"), run: () => setShowsKeys(true) },
    ...NAVIGATION.filter(isFor).map(({ name, to, key }) => ({
      keys: `g ${key}`,
      does: t("goTo", { page: nav(name) }),
      run: () => void navigate({ to }),
    })),
  ]);
  const signOut = useMutation({
    mutationFn: () => api.call("POST /auth/sign-out"),
    onSettled: async () => {
      queries.clear();
      await navigate({ to: "/sign-in" });
    },
  });
  // The session has ended, here or in another tab.
  useEffect(() => {
    if (me === null) void navigate({ to: "/sign-in", search: { to: location.pathname + location.search } });
  }, [me, navigate]);
  return (
    <div className="flex min-h-screen flex-col md:flex-row">
      <a href="#content" className="sr-only focus:not-sr-only focus:absolute focus:z-10 focus:bg-panel focus:p-2">
        {t("skip")}
      </a>
      <header className="flex shrink-0 flex-col gap-1 border-line bg-panel p-3 max-md:border-b md:sticky md:top-0 md:h-screen md:w-52 md:border-r">
        <Link to="/" className="flex items-center gap-2 px-2 py-1 text-base font-semibold">
          <img src={icon} alt="" className="size-6" />
          Penstock
        </Link>
        <nav aria-label={t("navigation")} className="flex gap-1 overflow-x-auto md:mt-3 md:flex-col">
          {NAVIGATION.map((item) =>
            isFor(item) ? (
              <Link
                key={item.name}
                to={item.to}
                className="rounded-md px-2 py-1.5 hover:bg-sunken"
                activeProps={{ className: "bg-sunken font-semibold" }}
              >
                {nav(item.name)}
              </Link>
            ) : (
              <span key={item.name} className="px-2 py-1.5 whitespace-nowrap text-dim">
                {nav(item.name)} <span className="text-xs">({t("needsRole")})</span>
              </span>
            ),
          )}
        </nav>
        <div className="mt-auto flex flex-col gap-1 text-dim max-md:hidden">
          {me && !me.seesPayloads && <p className="px-2 text-xs">{t("masked")}</p>}
          <p className="truncate px-2" title={me?.email ?? undefined}>
            {me?.name}
          </p>
          <button
            type="button"
            className="rounded-md px-2 py-1 text-left hover:bg-sunken"
            onClick={() => setShowsKeys(true)}
          >
            {t("keys")} <kbd className="rounded border border-line px-1 font-mono text-xs">?</kbd>
          </button>
          <button
            type="button"
            className="rounded-md px-2 py-1 text-left hover:bg-sunken"
            onClick={() => signOut.mutate()}
          >
            {t("signOut")}
          </button>
        </div>
      </header>
      <main id="content" className="min-w-0 flex-1">
        <Outlet />
      </main>
      <KeysDialog open={showsKeys} onClose={() => setShowsKeys(false)} />
    </div>
  );
}

/** Shows the page as the person has chosen, in whichever browser. */
function usePreferences(me: { language: "en" | "it" | null; theme: "system" | "light" | "dark" } | null): void {
  const { setLanguage } = useLanguage();
  const theme = me?.theme;
  const language = me?.language;
  useEffect(() => {
    if (theme !== undefined) applyTheme(theme);
  }, [theme]);
  useEffect(() => {
    if (language !== undefined) setLanguage(language);
    // Only when what was chosen changes: setLanguage is another function each time.
  }, [language]);
}
