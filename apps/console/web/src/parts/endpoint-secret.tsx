import { Link } from "@tanstack/react-router";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { CopyOnce } from "./copy-once.tsx";

const texts = defineTexts({
  en: {
    what: "Give this signing secret to whoever receives. A request is theirs to trust when a library of Standard Webhooks says so.",
    secret: "Signing secret",
    later: "It can be shown again on the endpoint's page; each time stands in the audit log.",
    open: "Open the endpoint, and send a test",
    done: "Done",
  },
  it: {
    what: "Dai questo segreto di firma a chi riceve. Può fidarsi di una richiesta quando lo dice una libreria di Standard Webhooks.",
    secret: "Segreto di firma",
    later: "Si può mostrare di nuovo nella pagina dell'endpoint; ogni volta resta nel registro di controllo.",
    open: "Apri l'endpoint e invia una prova",
    done: "Fatto",
  },
});

/** A secret that was just made, to be copied. */
export function EndpointSecret({ id, secret, onDone }: { id: string; secret: string; onDone: () => void }) {
  const t = useTexts(texts);
  return (
    <div className="flex flex-col gap-4">
      <p>{t("what")}</p>
      <CopyOnce label={t("secret")} value={secret} />
      <p className="text-xs text-dim">{t("later")}</p>
      <div className="flex items-center justify-between gap-2">
        <Link to="/endpoints/$id" params={{ id }} className="text-accent underline">
          {t("open")}
        </Link>
        <Button look="primary" onClick={onDone}>
          {t("done")}
        </Button>
      </div>
    </div>
  );
}
