import type { PolicyEngine } from '@kest/core'
import { OPAPolicyEngine, RegoWasmEngine } from '@kest/opa'
import { required, type Settings } from './settings.js'

/** Who decides: policies in this process where there are compiled ones, otherwise OPA. */
export async function createEngine({
  regoWasm,
  opa,
  opaPlans: plans,
  patience,
}: Settings): Promise<PolicyEngine> {
  if (regoWasm !== null) return await RegoWasmEngine.load(regoWasm)
  const url = required(opa, 'OPA_URL')
  const timeoutMs = 1_000 * patience
  if (url.protocol === 'unix:')
    return new OPAPolicyEngine({ url: 'http://opa', socketPath: url.pathname, plans, timeoutMs })
  return new OPAPolicyEngine({ url, plans, timeoutMs })
}
