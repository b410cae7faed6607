import { defineConfig } from "@penstock/handler-sdk";
import { HANDLERS } from "./handlers.ts";

export default defineConfig({ handlers: HANDLERS });
