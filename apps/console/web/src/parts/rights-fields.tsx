import type { Role } from "@penstock/schemas/admin";
import { defineTexts, useTexts } from "../app/language.tsx";
import { CheckField, SelectField } from "./field.tsx";

export const rightsTexts = defineTexts({
  en: {
    role: "Role",
    viewer: "Viewer: looks",
    operator: "Operator: repairs, too",
    admin: "Admin: everything",
    payloads: "May see payloads",
    masked: "masked",
    seen: "sees payloads",
  },
  it: {
    role: "Ruolo",
    viewer: "Viewer: guarda",
    operator: "Operator: ripara",
    admin: "Admin: tutto",
    payloads: "Può vedere i contenuti",
    masked: "mascherati",
    seen: "vede i contenuti",
  },
});

/** What somebody, or a token, may do. */
export interface Rights {
  readonly role: Role;
  readonly seesPayloads: boolean;
}

const CHOICES = ["viewer", "operator", "admin"] as const;

/** Chooses a role, and whether payloads are shown. */
export function RightsFields({ value, onValue }: { value: Rights; onValue: (value: Rights) => void }) {
  const t = useTexts(rightsTexts);
  return (
    <>
      <SelectField
        label={t("role")}
        value={value.role}
        options={CHOICES.map((role) => ({ value: role, label: t(role) }))}
        onValue={(role) => onValue({ ...value, role })}
      />
      <CheckField
        label={t("payloads")}
        checked={value.seesPayloads}
        onChange={(event) => onValue({ ...value, seesPayloads: event.target.checked })}
      />
    </>
  );
}
