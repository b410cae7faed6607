import { diag, trace } from "@opentelemetry/api";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";
import type { Environment } from "./telemetry-plan.ts";
import { isDrawn, ratioOf, samplerOf } from "./tracing-state.ts";

/**
 * The sampler that OTEL_TRACES_SAMPLER names. A span that begins a trace and is linked to what is sampled is sampled with
 * it: that of a batch, whose share of the traces is that of its first event.
 */
export function createSampler(env: Environment): Sampler {
  const own = fromEnvironment(env);
  return {
    shouldSample(context, traceId, name, kind, attributes, links) {
      if (links.length > 0 && trace.getSpan(context) === undefined)
        return { decision: SamplingDecision.RECORD_AND_SAMPLED };
      return own.shouldSample(context, traceId, name, kind, attributes, links);
    },
    toString: () => own.toString(),
  };
}

/** As the SDK reads it, which exports nothing that does. */
function fromEnvironment(env: Environment): Sampler {
  const name = samplerOf(env);
  const [, parentBased = "", rootName = ""] = /^(parentbased_)?(.*)$/.exec(name) ?? [];
  const root = toRoot(rootName, env);
  if (root === null) {
    diag.error(`OTEL_TRACES_SAMPLER is not known, parentbased_always_on is used: ${name}`);
    return new ParentBasedSampler({ root: new AlwaysOnSampler() });
  }
  return parentBased === "" ? root : new ParentBasedSampler({ root });
}

function toRoot(name: string, env: Environment): Sampler | null {
  if (name === "always_on") return new AlwaysOnSampler();
  if (name === "always_off") return new AlwaysOffSampler();
  if (name !== "traceidratio") return null;
  const ratio = ratioFrom(env);
  return isDrawn(env) ? new AlwaysOnSampler() : new TraceIdRatioBasedSampler(ratio);
}

function ratioFrom(env: Environment): number {
  const ratio = ratioOf(env);
  if (ratio === null) diag.error("OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, and is taken for 1");
  return ratio ?? 1;
}
