import { KestConfigError, VERSION } from '@kest/core'
import type { Attributes } from '@opentelemetry/api'
import { keyValuesOf } from '../key-values.js'
import type { Resource } from '../spans/readable-span.js'
import type { ResolvedOptions } from './resolve-options.js'

const SERVICE_NAME = 'service.name'

/**
 * Who emits the spans: what was stated, over what `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` say.
 * @throws {KestConfigError} when nobody names the service (NF-OBS-02), or `OTEL_RESOURCE_ATTRIBUTES` cannot be read
 */
export function resourceOf(
  { serviceName, resource = {} }: ResolvedOptions,
  env: NodeJS.ProcessEnv,
): Resource & { readonly attributes: Attributes } {
  const stated = keyValuesOf('OTEL_RESOURCE_ATTRIBUTES', env)
  const name = serviceName ?? resource[SERVICE_NAME] ?? (env['OTEL_SERVICE_NAME'] || stated[SERVICE_NAME])
  if (typeof name !== 'string' || name === '') {
    throw new KestConfigError('serviceName: expected a name, here or in OTEL_SERVICE_NAME')
  }
  const attributes = {
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.name': 'kest',
    'telemetry.sdk.version': VERSION,
    ...stated,
    ...resource,
    [SERVICE_NAME]: name,
  }
  return asOfTheSdk(attributes)
}

/** With what exporters call on a resource of OpenTelemetry's SDK. */
function asOfTheSdk(attributes: Attributes): Resource & { readonly attributes: Attributes } {
  return Object.freeze({
    attributes: Object.freeze(attributes),
    asyncAttributesPending: false,
    waitForAsyncAttributes: () => Promise.resolve(),
    getRawAttributes: () => Object.entries(attributes),
    merge: (other: Resource | null) =>
      other === null
        ? asOfTheSdk(attributes)
        : asOfTheSdk({ ...attributes, ...(other.attributes as Attributes) }),
  })
}
