import type { Transaction } from "kysely";
import { expectTypeOf, test } from "vitest";
import {
  defineConfig,
  defineHandler,
  type EffectContext,
  type EventOf,
  type EffectHandler,
  type Handler,
  type HandlerContext,
  type TransactionalHandler,
} from "./index.ts";

declare module "./event.ts" {
  interface EventData {
    "acme.order.paid": { readonly order: string };
  }
}

interface Tables {
  replies: { message_id: string; body: string };
}

test("a handler of one type sees exactly the data of that type", () => {
  defineHandler({
    name: "replies",
    on: ["message.received"],
    handle(event) {
      expectTypeOf(event.type).toEqualTypeOf<"message.received">();
      expectTypeOf(event.createdAt).toEqualTypeOf<Date>();
      expectTypeOf(event.receivedAt).toEqualTypeOf<Date>();
      expectTypeOf(event.data.messageId).toEqualTypeOf<string>();
      expectTypeOf(event.data.body).toEqualTypeOf<string | null | undefined>();
      // @ts-expect-error -- only a message that failed has an error
      void event.data.error;
      // What the schema does not name is kept, and is anything.
      expectTypeOf(event.data["more"]).toEqualTypeOf<unknown>();
    },
    handleBatch(events) {
      expectTypeOf(events).toEqualTypeOf<readonly EventOf<"message.received">[]>();
    },
  });
});

test("a handler of two types sees their union, and narrows it by type", () => {
  defineHandler({
    name: "both",
    on: ["contact.created", "message.failed"],
    handle(event) {
      expectTypeOf(event.type).toEqualTypeOf<"contact.created" | "message.failed">();
      expectTypeOf(event.data.contactId).toEqualTypeOf<string>();
      expectTypeOf(event.data.name).toEqualTypeOf<unknown>();
      if (event.type === "contact.created") {
        expectTypeOf(event.data.name).toEqualTypeOf<string | null | undefined>();
        expectTypeOf(event.data.tags).toEqualTypeOf<string[] | null | undefined>();
      } else {
        expectTypeOf(event.type).toEqualTypeOf<"message.failed">();
        expectTypeOf(event.data.error?.code).toEqualTypeOf<string | number | null | undefined>();
      }
    },
  });
});

test("a context that is annotated types the transaction, and the event is inferred all the same", () => {
  const handler = defineHandler({
    name: "replies",
    on: ["message.received"],
    async handle(event, ctx: HandlerContext<Tables>) {
      expectTypeOf(event.data.messageId).toEqualTypeOf<string>();
      expectTypeOf(ctx.tx).toEqualTypeOf<Transaction<Tables>>();
      await ctx.tx.insertInto("replies").values({ message_id: event.data.messageId, body: "hello" }).execute();
      // @ts-expect-error -- no such table
      ctx.tx.selectFrom("reply");
    },
    handleBatch(events, ctx) {
      expectTypeOf(events).toEqualTypeOf<readonly EventOf<"message.received">[]>();
      expectTypeOf(ctx.tx).toEqualTypeOf<Transaction<Tables>>();
      expectTypeOf(ctx).not.toHaveProperty("attempt");
    },
  });
  expectTypeOf(handler).toEqualTypeOf<TransactionalHandler<"message.received", Tables>>();
});

test("an effect handler sees its event, and its tables in transactions of its own; results keep their types", () => {
  const handler = defineHandler({
    kind: "effect",
    name: "notify",
    on: ["message.failed"],
    async handle(event, ctx: EffectContext<Tables>) {
      expectTypeOf(event.type).toEqualTypeOf<"message.failed">();
      expectTypeOf(ctx).not.toHaveProperty("tx");
      const { id } = await ctx.once("post", () => Promise.resolve({ id: 7 }));
      expectTypeOf(id).toEqualTypeOf<number>();
      const found = await ctx.transaction("look", (tx) => tx.selectFrom("replies").select("body").executeTakeFirst());
      expectTypeOf(found).toEqualTypeOf<{ body: string } | undefined>();
    },
  });
  expectTypeOf(handler).toEqualTypeOf<EffectHandler<"message.failed", Tables>>();
});

test("a lane is made from the event of the types that the handler listens to", () => {
  defineHandler({
    name: "ordered",
    on: ["message.received", "message.failed"],
    order: "newest-wins",
    lane(event) {
      expectTypeOf(event.type).toEqualTypeOf<"message.received" | "message.failed">();
      return event.data.conversationId ?? null;
    },
    handle: (event) => void expectTypeOf(event.type).toEqualTypeOf<"message.received" | "message.failed">(),
  });
  defineHandler({
    kind: "effect",
    name: "ordered-effect",
    on: ["contact.created"],
    lane: ({ type, data }) => `${type satisfies "contact.created"} ${data.contactId}`,
    handle: () => undefined,
  });
});

test("handlers of all kinds stand in one configuration", () => {
  const one = defineHandler({ name: "one", on: ["message.received"], handle: () => undefined });
  const two = defineHandler({
    name: "two",
    on: ["contact.created", "contact.updated"],
    handle: (_event, _ctx: HandlerContext<Tables>) => undefined,
  });
  const three = defineHandler({ kind: "effect", name: "three", on: ["message.failed"], handle: () => undefined });
  expectTypeOf(defineConfig({ handlers: [one, two, three] }).handlers).toEqualTypeOf<readonly Handler[]>();
});

test("an event of another provider has the data that is declared for its type, or unknown data", () => {
  defineHandler({
    name: "money",
    on: ["acme.order.paid", "stripe.charge.succeeded"],
    handle(event) {
      expectTypeOf(event.createdAt).toEqualTypeOf<Date>();
      if (event.type === "acme.order.paid") expectTypeOf(event.data).toEqualTypeOf<{ readonly order: string }>();
      else expectTypeOf(event.data).toEqualTypeOf<unknown>();
    },
  });
});

test("an event of Penstock's own has its data", () => {
  defineHandler({
    name: "watch",
    on: ["endpoint.disabled"],
    handle(event) {
      expectTypeOf(event.data.endpointId).toEqualTypeOf<string>();
      expectTypeOf(event.data.failures).toEqualTypeOf<number>();
    },
  });
});

test("an event type that does not exist, or a handler without handle, does not compile", () => {
  const never = (): void => {
    // @ts-expect-error -- BuzzBip sends no such event
    defineHandler({ name: "x", on: ["message.read"], handle: () => undefined });
    // @ts-expect-error -- a type of a provider that nobody has declared
    defineHandler({ name: "x", on: ["nobody.sends"], handle: () => undefined });
    // @ts-expect-error -- handle is what a handler is for
    defineHandler({ name: "x", on: ["message.received"] });
    // @ts-expect-error -- a lane is a string or null
    defineHandler({ name: "x", on: ["message.sent"], lane: () => 1, handle: () => undefined });
    // @ts-expect-error -- an effect handler has no batch
    defineHandler({ kind: "effect", name: "x", on: ["message.sent"], handle: () => undefined, handleBatch() {} });
  };
  expectTypeOf(never).toBeFunction();
});
