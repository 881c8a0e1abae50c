import { fileURLToPath } from 'node:url'
import type { PolicyEngine } from '@kest/core'
import { OPAPolicyEngine, RegoWasmEngine } from '@kest/opa'

/** The Rego in `policies/`, compiled: `npm run policies` makes it anew. */
const POLICIES = fileURLToPath(new URL('../../policies/policy.wasm', import.meta.url))

/** How long a decision may take. Longer than by default: the machine runs the whole demonstration. */
export const policyTimeoutMs = 5_000

/** Decides in this process, or asks the OPA that `OPA_URL` names, which has the same policies. */
export async function createEngine(): Promise<PolicyEngine> {
  const url = process.env['OPA_URL'] || null
  return url === null
    ? await RegoWasmEngine.load(POLICIES)
    : new OPAPolicyEngine({ url, timeoutMs: policyTimeoutMs })
}
