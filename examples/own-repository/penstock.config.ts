import { defineConfig } from "@penstock/handler-sdk";
import tickets from "./handlers/tickets.ts";

// What happens with events.
export default defineConfig({ handlers: [tickets] });
