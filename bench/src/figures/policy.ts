import { CedarWasmEngine } from '@kest/cedar'
import { cacheDecisions, type PolicyEngine, type PolicyRequest } from '@kest/core'
import { policyLibrary, RegoWasmEngine } from '@kest/opa'
import type { TimeFigure } from '../figure.js'
import { createWorkload, rawSign, requestState } from '../workload.js'

interface PolicyCase {
  readonly name: string
  readonly target: number
  /** Entries that are there already. */
  readonly after: number
  /** Questions to one signature; more than one where a question takes so little that to measure it takes longer. */
  readonly times?: number
  readonly engine: () => PolicyEngine | Promise<PolicyEngine>
}

/** Asked in turn. */
const QUESTIONS = 256
const SIGNAL = Object.freeze({ signal: new AbortController().signal })
const CEDAR = `@id("orders")
permit(principal, action == Action::"orders/read", resource) when { context.trust_score > 0 };`

/** A policy of the library, with its parameters. */
const REGO = 'kest/minimum_trust'
const DATA = { kest: { parameters: { minimum_trust: { score: 1 } } } }

/** Questions to an engine, which it answers at once; the context is that of a real operation. */
function policyFigure({ name, target, after, times = 1, engine: make }: PolicyCase): TimeFigure {
  return {
    group: 'policy',
    name,
    unit: 'µs',
    floor: 'one Ed25519 signature',
    target,
    async prepare() {
      const engine = await make()
      const asked: PolicyRequest[] = []
      const workload = createWorkload('Ed25519', {
        engine: { evaluate: (request) => asked.push(request) > 0 },
      })
      const before = await workload.chain(Math.max(1, after))
      if (after > 0) await workload.kest.begin(workload.child, { state: requestState(before.state) })
      const { context, ...request } = asked.at(-1) as PolicyRequest
      // Objects of its own for each question, as each operation has; making them is the hook's part.
      const questions = Array.from({ length: QUESTIONS }, () => ({ ...request, context: { ...context } }))
      let asks = 0
      const ask = () => engine.evaluate(questions[asks++ % QUESTIONS] as PolicyRequest, SIGNAL)
      const decision = await ask()
      if (decision !== true && (decision === false || !decision.allow))
        throw new Error('the policy of the benchmark does not allow')
      const subject = (): void => {
        for (let i = 0; i < times; i++) void ask()
      }
      return { floor: rawSign(workload, before.entry.jws), subject }
    },
  }
}

/** An engine that is asked once in a run, if at all. */
function cached(): PolicyEngine {
  return cacheDecisions(
    { evaluate: () => Promise.resolve(true) },
    { ignore: ['environment.parent_hash'], ttlMs: 3_600_000 },
  )
}

export const cedarInProcess: TimeFigure = policyFigure({
  name: 'Cedar in process, after 5 entries',
  target: 1,
  after: 5,
  engine: () => CedarWasmEngine.load({ policies: CEDAR }),
})
export const regoInProcess: TimeFigure = policyFigure({
  name: '4 decisions by Rego in process, after 5 entries',
  target: 1,
  times: 4,
  after: 5,
  engine: () =>
    RegoWasmEngine.load(policyLibrary(), { data: DATA, reloadMs: 0, paths: { 'orders/read': REGO } }),
})
export const cachedAtRoot: TimeFigure = policyFigure({
  name: '20 cached decisions, at a root',
  target: 1,
  times: 20,
  after: 0,
  engine: cached,
})
export const cachedAfter5: TimeFigure = policyFigure({
  name: '20 cached decisions, after 5 entries',
  target: 1,
  times: 20,
  after: 5,
  engine: cached,
})
