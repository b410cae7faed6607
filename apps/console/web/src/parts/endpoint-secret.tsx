import { Link, useMatchRoute } from "@tanstack/react-router";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { CopyOnce } from "./copy-once.tsx";
import { timeOf } from "./measures.ts";

const texts = defineTexts({
  en: {
    what: "Give this signing secret to whoever receives. A request is theirs to trust when a library of Standard Webhooks says so.",
    secret: "Signing secret",
    later: "It can be shown again on the endpoint's page; each time stands in the audit log.",
    open: "Open the endpoint, and send a test",
    bothSign: "The secret before signs, too, until {time}: the receiver has that long to change over.",
    oneSigns: "The secret before signs no longer.",
    done: "Done",
  },
  it: {
    what: "Dai questo segreto di firma a chi riceve. Può fidarsi di una richiesta quando lo dice una libreria di Standard Webhooks.",
    secret: "Segreto di firma",
    later: "Si può mostrare di nuovo nella pagina dell'endpoint; ogni volta resta nel registro di controllo.",
    open: "Apri l'endpoint e invia una prova",
    bothSign: "Firma anche il segreto precedente, fino al {time}: chi riceve ha tempo fino ad allora per cambiare.",
    oneSigns: "Il segreto precedente non firma più.",
    done: "Fatto",
  },
});

/** A secret that was just made, to be copied. `previousUntil`: after a rotation, how long the secret before signs, too. */
export function EndpointSecret({
  id,
  secret,
  previousUntil,
  onDone,
}: {
  id: string;
  secret: string;
  previousUntil?: string | null;
  onDone: () => void;
}) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const isOpen = useMatchRoute()({ to: "/endpoints/$id", params: { id } }) !== false;
  return (
    <div className="flex flex-col gap-4">
      <p>{t("what")}</p>
      <CopyOnce label={t("secret")} value={secret} />
      {previousUntil !== undefined && (
        <p>{previousUntil === null ? t("oneSigns") : t("bothSign", { time: timeOf(previousUntil, language) })}</p>
      )}
      <p className="text-xs text-dim">{t("later")}</p>
      <div className="flex items-center justify-between gap-2">
        {!isOpen && (
          <Link to="/endpoints/$id" params={{ id }} className="text-accent underline">
            {t("open")}
          </Link>
        )}
        <Button look="primary" className="ml-auto" onClick={onDone}>
          {t("done")}
        </Button>
      </div>
    </div>
  );
}
