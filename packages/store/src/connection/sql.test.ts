import { expect, expectTypeOf, test } from "vitest";
import { declared, type RowOf, sql, statement } from "./sql.ts";

test("parameters are numbered in the order in which they first come, and carry their types", () => {
  const { config, parameters } = statement({
    text: sql`SELECT FROM t WHERE seq = ${{ seq: "int8" }} AND day = ${{ day: "date" }} AND old <> ${{ seq: "int8" }}`,
  });
  expect(config.text).toBe("SELECT FROM t WHERE seq = $1::int8 AND day = $2::date AND old <> $1::int8");
  expect(parameters.map(({ name }) => name)).toEqual(["seq", "day"]);
});

test("several parameters in one place are a list", () => {
  const { config } = statement({ text: sql`FROM unnest(${{ days: "date[]", seqs: "int8[]?" }}) AS t` });
  expect(config.text).toBe("FROM unnest($1::date[], $2::int8[]) AS t");
});

test("pieces nest, and share their parameters; text and numbers are SQL", () => {
  const day = sql`day = ${{ day: "date" }}`;
  const both = sql`${day} AND seq > ${{ after: "int8" }} AND ${"true"}`;
  const { config } = statement({ text: sql`SELECT ${{ limit: "int4" }} WHERE ${both} OR ${day} LIMIT ${20}` });
  expect(config.text).toBe(
    "SELECT $1::int4 WHERE day = $2::date AND seq > $3::int8 AND true OR day = $2::date LIMIT 20",
  );
});

test("a parameter of two types is refused", () => {
  const text = sql`SELECT ${{ seq: "int8" }}, ${{ seq: "text" }}`;
  expect(() => statement({ text })).toThrow("parameter seq is int8 in one place and text in another");
  // Whether it may be null is told by one place for all.
  expect(statement({ text: sql`SELECT ${{ seq: "int8?" }}, ${{ seq: "int8" }}` }).parameters).toHaveLength(1);
});

test("a statement is on record with its name and its columns, whose types its rows have", () => {
  const made = statement({
    name: "penstock-some",
    rows: { seq: "int8", types: "text[]", at: "timestamptz?" },
    text: sql`SELECT seq, types, at FROM t`,
  });
  expect(declared).toContain(made);
  expect(made.config.name).toBe("penstock-some");
  expectTypeOf<RowOf<typeof made>>().toEqualTypeOf<{ seq: string; types: string[]; at: Date | null }>();
});
