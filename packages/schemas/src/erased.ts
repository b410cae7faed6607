import { z } from "zod";

/** The event that tells that somebody's data was erased, for endpoints and handlers that keep some, too. */
export const SUBJECT_ERASED = "penstock.subject.erased";

/** Whose data was erased: the data of `penstock.subject.erased`. The event is erased, too, once it is delivered. */
export const subjectErasedSchema = z.looseObject({
  /** `subject`: an id of what events are about; `value`: a text wherever it stands; `where`: a value at a path of the body. */
  kind: z.enum(["subject", "value", "where"]),
  /** The path, e.g. `data.phone`; null where it was told by something else. */
  path: z.string().nullable(),
  value: z.string(),
});

export type SubjectErased = z.infer<typeof subjectErasedSchema>;
