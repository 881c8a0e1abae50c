import { DEPLOYMENT_TIERS, type Deployment, KestError } from '@kest/core'
import type { OpaAddress } from '../arguments/opa.js'
import { InputError } from '../files/input-error.js'
import type { Warning } from './warning.js'

const TIMEOUT_MS = 5_000

/** Engines that were named: OPAs, and policies that are compiled to WebAssembly, by file. */
export interface Engines {
  readonly opa: readonly OpaAddress[]
  readonly rego: readonly string[]
}

/** One of them. */
interface Knowing {
  /** Whether it has a policy; `null` where it does not say. */
  knows(policy: string): Promise<boolean | null>
  close(): void | Promise<void>
}

/**
 * Policies that none of the engines has: each operation would be denied.
 *
 * @param own an operation's own policies
 * @throws {InputError} when an engine does not answer, or a file cannot be loaded
 */
export async function unknownPolicies(
  deployment: Deployment,
  own: readonly string[],
  { opa, rego }: Engines,
): Promise<Warning[]> {
  const engines: Knowing[] = []
  const warnings: Warning[] = []
  try {
    for (const address of opa) engines.push(await opaAt(address))
    for (const file of rego) engines.push(await regoIn(file))
    if (engines.length === 0) return []
    for (const [policy, at] of namesIn(deployment, own)) {
      const answers: (boolean | null)[] = []
      for (const engine of engines) answers.push(await engine.knows(policy))
      if (answers.includes(true)) continue
      const message = answers.includes(null)
        ? `no engine says that it has "${policy}"`
        : `no engine has "${policy}": what asks it is denied`
      warnings.push({ code: 'unknown-policy', at, message })
    }
  } finally {
    for (const engine of engines) await engine.close()
  }
  return warnings
}

/** Each policy, and where it is named first. */
function namesIn(
  { policies: tiers, observe = [] }: Deployment,
  own: readonly string[],
): ReadonlyMap<string, string> {
  const named = new Map<string, string>()
  const name = (policies: readonly string[], path: string): void => {
    for (const [index, policy] of policies.entries())
      if (!named.has(policy)) named.set(policy, `${path}[${index}]`)
  }
  for (const tier of DEPLOYMENT_TIERS) name(tiers[tier], `policies.${tier}`)
  for (const [index, one] of observe.entries())
    if (one.what === 'policy') name(one.policies ?? [], `observe[${index}].policies`)
  name(own, '--policy')
  return named
}

async function opaAt(address: OpaAddress): Promise<Knowing> {
  const { OPAPolicyEngine } = await import('@kest/opa')
  return await attempt('--opa: ', async () => {
    const engine = new OPAPolicyEngine({ ...address, timeoutMs: TIMEOUT_MS })
    return {
      knows: (policy: string) => attempt('--opa: ', () => engine.knows(policy)),
      close: () => engine.close(),
    }
  })
}

async function regoIn(file: string): Promise<Knowing> {
  const { RegoWasmEngine } = await import('@kest/opa')
  return await attempt(`--rego ${file}: `, async () => {
    const engine = await RegoWasmEngine.load(file)
    const names = new Set(engine.entrypoints)
    return { knows: async (policy: string) => names.has(policy), close: () => engine.close() }
  })
}

async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw new InputError(`${what}${cause.message}`, { cause })
  }
}
