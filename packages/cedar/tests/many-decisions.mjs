// 100,000 decisions by Cedar, each of another question, through a cache that they fill many times over. Run with
// --expose-gc; writes what was in use after the first tenth and at the end, in bytes.
import { CedarWasmEngine } from '@kest/cedar'
import { cacheDecisions } from '@kest/core'

const policies = `permit(principal, action == Action::"p", resource)
  when { context.trust_score >= 40 && context.attributes.n >= 0 && !context.taints.contains("x") };`
const cache = cacheDecisions(await CedarWasmEngine.load({ policies }), { ignore: [], max: 1_000 })
const { signal } = new AbortController()

function ask(n) {
  const context = {
    subject: {
      workload: 'w',
      user: `u${n}`,
      agent: null,
      task: null,
      trust_score: 50,
      taints: [],
      identity_by: null,
    },
    object: { id: `o${n}`, attributes: { n } },
    environment: {
      is_root: true,
      source_type: 'system',
      parent_hash: '0',
      policy_names: ['p'],
      policy_tier: 'function',
      active_deviations: [],
      classification: 'system',
    },
    identity: 'w',
    trust_score: 50,
    lineage: { depth: 0, principals: [], operations: [], classifications: [] },
  }
  if (!cache.evaluate({ entryId: 'e', policies: ['p'], context }, { signal }).allow) throw new Error('denied')
}

function inUse() {
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

for (let n = 0; n < 10_000; n++) ask(n)
const early = inUse()
for (let n = 10_000; n < 100_000; n++) ask(n)
console.log(JSON.stringify({ early, late: inUse(), ...cache.stats() }))
