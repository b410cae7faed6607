import { toIdentifier } from "./to-identifier.ts";

/** What a new handler is like. */
export type HandlerForm = "plain" | "table" | "effect";

/** Its package.json; the folder's name is the handler's. */
export function packageTemplate(name: string, form: HandlerForm): object {
  return {
    name: `@penstock/handler-${name}`,
    version: "0.1.0",
    private: true,
    description: DESCRIPTIONS[form],
    license: "UNLICENSED",
    type: "module",
    exports: {
      ".": {
        "@penstock/source": "./src/index.ts",
        types: "./dist/index.d.ts",
        default: "./dist/index.js",
      },
    },
    dependencies: {
      "@penstock/handler-sdk": "workspace:*",
      ...(form === "table" && { kysely: "catalog:" }),
    },
    devDependencies: { "@penstock/handler-testing": "workspace:*", vitest: "catalog:" },
  };
}

const DESCRIPTIONS: Readonly<Record<HandlerForm, string>> = {
  plain: "Writes each message that is received to the log.",
  table: "Keeps the messages that are received in a table.",
  effect: "Posts each message that failed to a URL.",
};

export const TSCONFIG = {
  extends: "../../../tsconfig.base.json",
  compilerOptions: { rootDir: "src", outDir: "dist", tsBuildInfoFile: "dist/.tsbuildinfo" },
  include: ["src"],
  exclude: ["src/**/*.test.ts"],
  references: [{ path: "../../handler-sdk" }],
};

export function readmeTemplate(name: string, form: HandlerForm): string {
  return `# @penstock/handler-${name}\n\n${DESCRIPTIONS[form]}\n`;
}

/** The handler's code: what its package exports as its default. */
export function handlerTemplate(name: string, form: HandlerForm): string {
  if (form === "effect") {
    return `import { defineHandler, type EffectHandler, fetchOk } from "@penstock/handler-sdk";

/** What penstock.config.ts says of it. */
export interface Options {
  /** Where to post to. */
  readonly url: string;
}

/** ${DESCRIPTIONS.effect} */
export default function ${toHandlerIdentifier(name)}({ url }: Options): EffectHandler<"message.failed"> {
  return defineHandler({
    kind: "effect",
    name: "${name}",
    on: ["message.failed"], // \`event\` is typed by this
    timeoutMs: 10_000,
    retry: { scheduleMs: [1_000, 10_000, 60_000, 600_000, 3_600_000] },
    async handle(event, ctx) {
      // Once it is recorded that this was done, no later try does it again. The key tells the other side that a try is one
      // of the same event. What it answers decides whether there is another: see fetchOk.
      await ctx.once("post", async () => {
        await fetchOk(url, {
          method: "POST",
          headers: { "content-type": "application/json", "idempotency-key": ctx.idempotencyKey },
          body: JSON.stringify({ messageId: event.data.messageId, error: event.data.error?.message }),
          signal: ctx.signal,
        });
      });
    },
  });
}
`;
  }
  if (form === "table") {
    return `import { defineHandler, type HandlerContext } from "@penstock/handler-sdk";
import * as messages from "./migrations/0001-messages.ts";

/** The tables of the handler's own schema, \`${name.replaceAll("-", "_")}\`, for Kysely. */
export interface Tables {
  messages: { message_id: string; body: string | null; created_at: Date };
}

/** ${DESCRIPTIONS.table} */
export default defineHandler({
  name: "${name}",
  on: ["message.received"], // \`event\` is typed by this
  migrations: { "0001-messages": { up: messages.up } },
  async handle(event, ctx: HandlerContext<Tables>) {
    // What is written by ctx.tx and the mark that this event was handled commit together. Throw, and it is tried again.
    await ctx.tx
      .insertInto("messages")
      .values({ message_id: event.data.messageId, body: event.data.body ?? null, created_at: event.createdAt })
      .onConflict((conflict) => conflict.column("message_id").doNothing())
      .execute();
  },
});
`;
  }
  return `import { defineHandler } from "@penstock/handler-sdk";

/** ${DESCRIPTIONS.plain} */
export default defineHandler({
  name: "${name}",
  on: ["message.received"], // \`event\` is typed by this
  handle(event, ctx) {
    ctx.log.info({ messageId: event.data.messageId }, "received");
  },
});
`;
}

/** The migration of the form that has a table. */
export const MIGRATION = `import { type Kysely, sql } from "kysely";

/** Applied once, in the handler's own schema. What has been applied is never changed: add another migration. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql\`
    CREATE TABLE messages (
      message_id text PRIMARY KEY,
      body text,
      created_at timestamptz NOT NULL
    )\`.execute(db);
}
`;

/** Its test, on a real Postgres. */
export function handlerTestTemplate(name: string, form: HandlerForm): string {
  const identifier = toHandlerIdentifier(name);
  if (form === "effect") {
    return `import { outsideServer, testHandler } from "@penstock/handler-testing";
import { expect, test } from "vitest";
import ${identifier} from "../src/index.ts";

test("a message that failed is posted, and again while the other side is down", async () => {
  await using outside = await outsideServer();
  outside.next({ status: 503 }); // or with headers, or "hang", or "reset"
  await using t = await testHandler(${identifier}({ url: outside.url }));
  await t.send("message.failed");
  await t.settle();
  expect(await t.deliveries()).toMatchObject([{ state: "retrying", error: expect.stringContaining("503") }]);
  await t.advance("1s");
  expect(await t.deliveries()).toMatchObject([{ state: "succeeded", attempts: 2 }]);
  const keys = outside.requests.map(({ headers }) => headers["idempotency-key"]);
  expect(keys).toEqual([keys[0], keys[0]]);
});
`;
  }
  if (form === "table") {
    return `import { testHandler } from "@penstock/handler-testing";
import { expect, test } from "vitest";
import ${identifier} from "../src/index.ts";

test("a message is kept once, however often it comes", async () => {
  await using t = await testHandler(${identifier});
  for (let times = 0; times < 2; times++) {
    await t.send("message.received", { data: { messageId: "msg_1", body: "hello" }, createdAt: "2026-06-01T12:00:00Z" });
    await t.settle();
  }
  const created_at = new Date("2026-06-01T12:00:00Z");
  expect(await t.rows("messages")).toEqual([{ message_id: "msg_1", body: "hello", created_at }]);
});
`;
  }
  return `import { testHandler } from "@penstock/handler-testing";
import { expect, test } from "vitest";
import ${identifier} from "../src/index.ts";

test("a message is handled", async () => {
  await using t = await testHandler(${identifier});
  await t.send("message.received", { data: { body: "hello" } });
  await t.settle();
  expect(await t.deliveries()).toMatchObject([{ state: "succeeded" }]);
});
`;
}

/** A handler's name as it is written in code, also where the name is a word of the language. */
export function toHandlerIdentifier(name: string): string {
  const identifier = toIdentifier(name);
  return TAKEN.has(identifier) ? `${identifier}Handler` : identifier;
}

const TAKEN = new Set(
  `await break case catch class const continue debugger default defineConfig defineHandler delete do else enum export
  expect extends false fetchOk finally for function if implements import in instanceof interface keys let messages new null
  outside outsideServer package private protected public return server static super switch test testHandler this throw true try typeof url
  var void while with yield`.split(/\s+/),
);
