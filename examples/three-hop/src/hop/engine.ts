import { fileURLToPath } from 'node:url'
import type { PolicyEngine } from '@kest/core'
import { RegoWasmEngine } from '@kest/opa'

/** The Rego in `policies/`, compiled: `npm run policies` makes it anew. */
const POLICIES = fileURLToPath(new URL('../../policies/policy.wasm', import.meta.url))

/** Decides in this process. */
export async function createEngine(): Promise<PolicyEngine> {
  return await RegoWasmEngine.load(POLICIES)
}
