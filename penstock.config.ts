import { defineConfig } from "@penstock/handler-sdk";
import inbox from "@penstock/handler-inbox";

// What happens with events. To plug in a handler of yours: make a package in packages/handlers that exports what
// defineHandler() returns, add it to the dependencies in package.json, import it here and put it in the list.
export default defineConfig({ handlers: [inbox] });
