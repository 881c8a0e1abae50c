import { KestError } from '@kest/core'
import { type Finding, finding } from './finding.js'
import type { Settings } from './settings.js'

/** Whether OPA answers, and has the policies that are asked. */
export async function checkEngine(settings: Settings, signal: AbortSignal): Promise<readonly Finding[]> {
  const { opa, policies, timeoutMs } = settings
  if (opa === null) {
    const engine = finding('engine', 'engine-not-told', 'it was not said where OPA is')
    return [engine, policiesNotAsked(policies, 'it was not said where OPA is')]
  }
  const { OPAPolicyEngine } = await import('@kest/opa')
  let engine: InstanceType<typeof OPAPolicyEngine> | undefined
  try {
    engine = new OPAPolicyEngine({ ...opa, timeoutMs })
    await engine.health({ bundles: true, signal })
    const answers = finding('engine', 'engine-answers', `OPA at ${engine.address} is healthy`)
    return [answers, ...(await policyFindings(engine, policies, signal))]
  } catch (error) {
    if (!(error instanceof KestError)) throw error
    const code = error.code === 'ERR_KEST_CONFIG' ? 'engine-config' : 'engine-unreachable'
    return [
      finding('engine', code, `${error.code}: ${error.message}`),
      policiesNotAsked(policies, 'OPA does not answer'),
    ]
  } finally {
    await engine?.close()
  }
}

function policiesNotAsked(policies: readonly string[], why: string): Finding {
  if (policies.length === 0) return finding('policies', 'policies-not-told', 'no policy was named')
  return finding('policies', 'policies-not-asked', `${policies.join(', ')}: ${why}`)
}

async function policyFindings(
  engine: { knows(policy: string, options: { signal: AbortSignal }): Promise<boolean | null> },
  policies: readonly string[],
  signal: AbortSignal,
): Promise<Finding[]> {
  if (policies.length === 0) return [policiesNotAsked(policies, '')]
  const known: string[] = []
  const others: Finding[] = []
  for (const policy of policies) {
    const found = await engine.knows(policy, { signal })
    if (found === true) known.push(policy)
    else if (found === false)
      others.push(finding('policies', 'policy-unknown', `${policy} has no value, whatever it is asked with`))
    else
      others.push(
        finding(
          'policies',
          'policy-unclear',
          `${policy} has no value by itself, and OPA lets nobody ask for more`,
        ),
      )
  }
  if (known.length === 0) return others
  return [finding('policies', 'policies-known', known.join(', ')), ...others]
}
