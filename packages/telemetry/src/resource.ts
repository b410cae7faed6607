import {
  defaultResource,
  detectResources,
  hostDetector,
  osDetector,
  processDetector,
  type Resource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
  serviceNameEnvDetector,
} from "@opentelemetry/resources";

/** What telemetry says of this process, the same for all signals; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win. */
export function createResource(serviceName: string): Resource {
  return defaultResource()
    .merge(resourceFromAttributes({ "service.name": serviceName }))
    .merge(detectResources({ detectors: [processDetector, hostDetector, osDetector, serviceInstanceIdDetector] }))
    .merge(detectResources({ detectors: [resourceAttributesEnvDetector] }))
    .merge(detectResources({ detectors: [serviceNameEnvDetector] }));
}
