import { KestError } from '@kest/core'
import { type Finding, finding } from './finding.js'
import { firstOf, OTLP_VARIABLES, type Settings } from './settings.js'

/** At the end of a message about a variable: what is no URL may be a secret in the wrong place. */
const VALUE = /, got ".*"$/s

/** Whether what receives OTLP takes what the service would export: asked with no span. */
export async function checkCollector({ otlp, env, timeoutMs }: Settings): Promise<readonly Finding[]> {
  if (otlp === null && firstOf(env, OTLP_VARIABLES) === null)
    return [finding('collector', 'collector-not-told', 'no endpoint of OTLP is set')]
  const { checkOtlp } = await import('@kest/telemetry')
  try {
    const name = await checkOtlp({ ...(otlp === null ? {} : { endpoint: otlp }), timeoutMs })
    return [finding('collector', 'collector-takes', `${name} takes what is exported`)]
  } catch (error) {
    if (!(error instanceof KestError)) throw error
    const code = error.code === 'ERR_KEST_CONFIG' ? 'collector-config' : 'collector-does-not-take'
    return [finding('collector', code, `${error.code}: ${error.message.replace(VALUE, '')}`)]
  }
}
