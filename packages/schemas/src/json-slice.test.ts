import fc from "fast-check";
import { expect, test } from "vitest";
import { sliceJson, sliceJsonItems, sliceJsonMembers } from "./json-slice.ts";

const slice = (json: string, ...path: string[]): string | undefined => sliceJson(Buffer.from(json), path)?.toString();

test.each([
  ['{"id":9007199254740993}', ["id"], "9007199254740993"],
  ['{"price": 1.10 , "x":1}', ["price"], "1.10"],
  ['{"n":1E3}', ["n"], "1E3"],
  ['{"a":{"id":1},"b":{"id":"two"}}', ["b", "id"], '"two"'],
  ['{"id":1,"id":2}', ["id"], "2"],
  ['{"a":{"id":1},"a":{}}', ["a", "id"], undefined],
  ['{"a\\"}":1,"b":[1,{"c":"]}"}]}', ["b"], '[1,{"c":"]}"}]'],
  ['{"\\u0069d":7}', ["id"], "7"],
  ['{"__proto__":{"x":1}}', ["__proto__", "x"], "1"],
  [' \n\t{ "a" : [ ] , "b" : { } } ', ["b"], "{ }"],
  ["\ufeff[1]", [], "[1]"],
  ['"text"', ["a"], undefined],
  ["[1,2]", ["0"], "1"],
  ['{"a":[{"id":1}, {"id":1.10}]}', ["a", "1", "id"], "1.10"],
  ["[1,2]", ["2"], undefined],
  ["[1,2]", ["00"], undefined],
  ["[1,2]", ["length"], undefined],
  ["[]", ["0"], undefined],
  ["{}", ["a"], undefined],
])("of %j the value at %j is %j", (json, path, expected) => {
  expect(slice(json, ...path)).toBe(expected);
});

test("nesting that JSON.stringify overflows on is walked", () => {
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  expect(slice(`{"x":${deep},"y":${deep}}`, "y")).toBe(deep);
});

test("whatever JSON there is, each member and each item is found as it stands", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.json()),
      fc.array(fc.json()),
      fc.constantFrom("", " ", "\r\n\t"),
      (members, items, blank) => {
        const object = `{${Object.entries(members)
          .map(([name, value]) => `${blank}${JSON.stringify(name)}${blank}:${blank}${value}${blank}`)
          .join(",")}}`;
        for (const [name, value] of Object.entries(members)) expect(slice(object, name)).toBe(value.trim());
        const array = Buffer.from(`${blank}[${items.map((item) => `${blank}${item}${blank}`).join(",")}${blank}]`);
        expect(sliceJsonItems(array).map(String)).toEqual(items.map((item) => item.trim()));
      },
    ),
  );
});

test("the members of an object are told in one pass, of two with one name the last", () => {
  const json = '\ufeff{ "a" : 1.10 , "b":[1, 2],"\\u0061":{ } , "__proto__":3}';
  const members = Array.from(sliceJsonMembers(Buffer.from(json)), ([name, value]) => [name, String(value)]);
  expect(members).toEqual([
    ["a", "{ }"],
    ["b", "[1, 2]"],
    ["__proto__", "3"],
  ]);
  for (const other of ["{}", "[]", "1", ""]) expect(sliceJsonMembers(Buffer.from(other)).size).toBe(0);
});

test.each(["{}", "1", '"[1]"', "[]", "[ ]", ""])("%j has no items", (json) => {
  expect(sliceJsonItems(Buffer.from(json))).toEqual([]);
});
