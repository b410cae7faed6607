import { connect } from "node:net";
import { type Check, type Finding, ok, warn } from "../check.ts";

const CONNECT_MS = 3_000;

/** Whether something listens where traces and metrics are sent. */
export const exporters: Check = {
  part: "Telemetry",
  asksPostgres: false,
  async run({ exporters: urls }) {
    if (urls.length === 0)
      return [ok("telemetry", "traces and metrics are sent nowhere (OTEL_EXPORTER_OTLP_ENDPOINT is not set)")];
    return Promise.all(
      urls.map(async (text): Promise<Finding> => {
        const id = "telemetry.exporter";
        const todo = "Start the collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT. Events do not wait for it.";
        if (!URL.canParse(text)) return warn(id, "the address for traces and metrics is no URL", todo);
        const { protocol, hostname, port } = new URL(text);
        const at = { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || (protocol === "https:" ? 443 : 80)) };
        const problem = await tryConnect(at);
        const where = `${at.host}:${at.port}`;
        return problem === null
          ? ok(id, `something listens at ${where}, where traces and metrics are sent`)
          : warn(
              id,
              `nothing answers at ${where}, where traces and metrics are sent (${problem}): they are lost`,
              todo,
            );
      }),
    );
  },
};

function tryConnect(at: { readonly host: string; readonly port: number }): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ ...at, timeout: CONNECT_MS });
    const end = (problem: string | null): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.on("connect", () => end(null));
    socket.on("timeout", () => end(`no answer within ${CONNECT_MS / 1_000} s`));
    socket.on("error", (error) => end("code" in error ? String(error.code) : error.message));
  });
}
