import { defineConfig } from "@penstock/handler-sdk";
import inbox from "@penstock/handler-inbox";

// What happens with events. To plug in a handler of yours: `npm run penstock -- new handler <name>`, or import what
// defineHandler() returned and put it in the list.
export default defineConfig({ handlers: [inbox] });
