import { KestConfigError } from '@kest/core'
import {
  defaultResource,
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import type { ResolvedOptions } from './resolve-options.js'

const SERVICE_NAME = 'service.name'

/**
 * Who emits the spans: what was stated, over what `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` say.
 * @throws {KestConfigError} when nobody names the service (NF-OBS-02), or `OTEL_RESOURCE_ATTRIBUTES` cannot be read
 */
export function resourceOf(
  { serviceName, resource = {} }: ResolvedOptions,
  env: NodeJS.ProcessEnv,
): Resource {
  const detected = detectResources({ detectors: [envDetector] })
  const stated = env['OTEL_RESOURCE_ATTRIBUTES']?.replace(/[,\s]/g, '') ?? ''
  const read = Object.keys(detected.attributes).filter((name) => name !== SERVICE_NAME).length
  if (stated !== '' && read === 0 && !/^service\.name=/.test(stated)) {
    throw new KestConfigError(
      'OTEL_RESOURCE_ATTRIBUTES: expected key=value, comma-separated, percent-encoded',
    )
  }
  const name = serviceName ?? resource[SERVICE_NAME] ?? detected.attributes[SERVICE_NAME]
  if (typeof name !== 'string' || name === '') {
    throw new KestConfigError('serviceName: expected a name, here or in OTEL_SERVICE_NAME')
  }
  return defaultResource()
    .merge(detected)
    .merge(resourceFromAttributes({ ...resource, [SERVICE_NAME]: name }))
}
