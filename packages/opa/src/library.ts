/**
 * The library of policies, compiled: `RegoWasmEngine.load(POLICY_LIBRARY, { data: { kest: { parameters: … } } })`. Its
 * source lies beside it.
 */
export const POLICY_LIBRARY: URL = new URL('../policies/policy.wasm', import.meta.url)
