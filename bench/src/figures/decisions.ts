import { cacheDecisions, type PolicyEngine, type PolicyRequest } from '@kest/core'
import { policyLibrary, RegoWasmEngine } from '@kest/opa'
import type { GrowthFigure } from '../figure.js'
import { createWorkload } from '../workload.js'

const TIMES = 100_000
const SIGNAL = Object.freeze({ signal: new AbortController().signal })
const POLICY = 'kest/minimum_trust'
const DATA = { kest: { parameters: { minimum_trust: { score: 1 } } } }

/** Decisions, each of another question, as requests of many users make them. */
function decisionsFigure(by: string, make: () => PolicyEngine | Promise<PolicyEngine>): GrowthFigure {
  return {
    group: 'memory',
    name: `after ${TIMES.toLocaleString('en')} decisions ${by}`,
    unit: 'bytes',
    times: TIMES,
    floor: 'after a tenth of them',
    target: 1.02,
    async prepare() {
      const engine = await make()
      const asked: PolicyRequest[] = []
      const { chain } = createWorkload('Ed25519', { engine: { evaluate: (one) => asked.push(one) > 0 } })
      await chain(3)
      const { context } = asked.at(-1) as PolicyRequest
      return {
        async work(n) {
          const user = `user-${n}`
          const question = {
            entryId: `entry-${n}`,
            policies: [POLICY],
            context: {
              ...context,
              subject: { ...context.subject, user },
              object: { id: user, attributes: { n } },
            },
          }
          if ((await engine.evaluate(question, SIGNAL)) !== true) throw new Error('the policy does not allow')
        },
      }
    },
  }
}

export const regoDecisions: GrowthFigure = decisionsFigure('by Rego', () =>
  RegoWasmEngine.load(policyLibrary(), { data: DATA, reloadMs: 0 }),
)
/** Ten times as many as it keeps, in the first tenth. */
export const cachedDecisions: GrowthFigure = decisionsFigure('by a full cache', () =>
  cacheDecisions({ evaluate: () => Promise.resolve(true) }, { ignore: [], max: TIMES / 100 }),
)
