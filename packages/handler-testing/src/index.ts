export { type DeliveryStory, type EffectStory, type TryStory } from "./read-story.ts";
export { type EventOverrides, type SentEvent } from "./make-event.ts";
export { outsideServer, type OutsideAnswer, type OutsideRequest, type OutsideServer } from "./outside-server.ts";
export { testHandler, type HandlerTest, type TestHandlerOptions } from "./test-handler.ts";
