export { layOver, type Overlay } from "./lay-over.ts";
export { send } from "./send.ts";
export { sendTest } from "./send-test.ts";
export { SIMULATED } from "./simulated.ts";
export { type SendOptions } from "./send-options.ts";
export { type SendReport } from "./send-report.ts";
