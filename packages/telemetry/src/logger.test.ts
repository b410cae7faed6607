import { expect, test } from "vitest";
import { createLogger } from "./logger.ts";

function logged(write: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown> {
  const lines: string[] = [];
  write(createLogger({ service: "test", level: "info", destination: { write: (line) => void lines.push(line) } }));
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? "") as Record<string, unknown>;
}

test("a line names its service, level and time", () => {
  const line = logged((log) => log.info({ eventId: "evt_1" }, "accepted"));
  expect(line).toMatchObject({ service: "test", level: "info", eventId: "evt_1", msg: "accepted" });
  expect(line["time"]).toMatch(/^\d{4}-\d\d-\d\dT/);
});

test.each(["body", "payload", "data", "headers", "secret", "secrets"])("%s never reaches a log", (field) => {
  const line = logged((log) => log.info({ [field]: "s3cr3t", request: { body: "s3cr3t" } }, "message"));
  expect(JSON.stringify(line)).not.toContain("s3cr3t");
});

test("of a Postgres error the code and message are kept, not the detail with the row's values", () => {
  const error = Object.assign(new Error("duplicate key value"), { code: "23505", detail: "Key (phone)=(+216123)" });
  const line = logged((log) => log.error({ err: error }, "failed"));
  expect(line["err"]).toMatchObject({ message: "duplicate key value", code: "23505" });
  expect(JSON.stringify(line)).not.toContain("+216123");
});
