import { expect, test } from "vitest";
import { defineConfig, type PenstockConfig } from "./define-config.ts";
import { defineHandler, type Handler } from "./define-handler.ts";
import { HandlerDefinitionError } from "./errors.ts";

function handler(name: string, schema?: string): Handler {
  return defineHandler({
    name,
    on: ["message.received"],
    handle: () => undefined,
    ...(schema === undefined ? {} : { schema }),
  });
}

test.each([
  [[handler("a"), handler("b"), handler("a", "c")], "two handlers are named a: give one of them another name"],
  [[handler("a"), handler("b", "a")], "handlers a and b both use schema a: set another `schema` in one of them"],
  [[handler("a-b"), handler("b", "a_b")], "handlers a-b and b both use schema a_b"],
  [[handler("a"), undefined], "handlers[1] is not a handler: list what defineHandler() returned"],
  [[{ default: handler("a") }], "handlers[0] is not a handler"],
  [[{ name: "a", on: ["message.received"], handle: () => undefined }], "handlers[0] is not a handler"],
  [undefined, "`handlers` must be a list of handlers"],
  [handler("a"), "`handlers` must be a list of handlers"],
])("a configuration is refused with the reason (%#)", (handlers, message) => {
  const define = (): unknown => defineConfig({ handlers } as unknown as PenstockConfig);
  expect(define).toThrow(HandlerDefinitionError);
  expect(define).toThrow(message);
});

test("handlers stand in the order of their names, whatever the order of the list", () => {
  const { handlers } = defineConfig({ handlers: [handler("c"), handler("a"), handler("b-1"), handler("b")] });
  expect(handlers.map(({ name }) => name)).toEqual(["a", "b", "b-1", "c"]);
});

test("a configuration is frozen and leaves the list it was given as it is", () => {
  const given = [handler("b"), handler("a")];
  const config = defineConfig({ handlers: given });
  expect(given.map(({ name }) => name)).toEqual(["b", "a"]);
  expect([Object.isFrozen(config), Object.isFrozen(config.handlers)]).toEqual([true, true]);
});

test("no handlers is a configuration: events are then only kept", () => {
  expect(defineConfig({ handlers: [] })).toEqual({ handlers: [] });
});
