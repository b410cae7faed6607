import { defineConfig } from "@penstock/handler-sdk";
import { HANDLERS, type HandlerSet } from "./handlers.ts";

export default defineConfig({ handlers: HANDLERS[process.env["BENCH_HANDLERS"] as HandlerSet] });
