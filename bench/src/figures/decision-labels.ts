import { generateKeyPairSync } from 'node:crypto'
import {
  createKeyIdentity,
  type Operation,
  OperationDefinition,
  type OperationOptions,
  type PolicyEngine,
} from '@kest/core'
import type { TimeFigure } from '../figure.js'
import { begin, createRuntime } from '../internals.js'
import { requestState } from '../workload.js'

const WORKLOAD_ID = 'spiffe://example.org/ns/shop/sa/orders'
const REVISION = `rego-wasm:sha256:${'5a'.repeat(32)}`

/** The hook with the labels that say what was asked and which text decided (K-REVISION, K-CONTEXT), beside the hook without them. */
function labelsFigure(after: number): TimeFigure {
  return {
    group: 'hook',
    name: `the hook with revision and context on record, ${after === 0 ? 'at a root' : `after ${after} entries`}`,
    unit: 'µs',
    floor: 'the hook without',
    target: 1.05,
    async prepare() {
      const { privateKey } = generateKeyPairSync('ed25519')
      const identity = createKeyIdentity(WORKLOAD_ID, privateKey)
      const hookOf = async (engine: PolicyEngine, labelled: boolean) => {
        const made = createRuntime({ identity, engine })
        // Where pseudonyms are on the context is not recorded; nobody has a name here.
        const runtime = labelled ? made : { ...made, pseudonyms: NOBODY }
        const root = definition({ operation: 'GET /orders/:id', policy: 'p', origin: 'user_input' })
        const child = definition({ operation: 'orders.load', policy: 'p' })
        let before: Operation | undefined
        for (let n = 0; n < after; n++)
          before = await begin(runtime, before === undefined ? root : child, { state: before?.state ?? null })
        const state = before?.state
        return async () => {
          const operation =
            state === undefined
              ? await begin(runtime, root, { state: null })
              : await begin(runtime, child, { state: requestState(state) })
          await operation.run(nothing)
        }
      }
      const floor = await hookOf({ evaluate: () => true }, false)
      const subject = await hookOf({ evaluate: () => true, revision: () => REVISION }, true)
      return { floor, subject }
    },
  }
}

const NOBODY = {} as NonNullable<ReturnType<typeof createRuntime>['pseudonyms']>

function definition(options: OperationOptions): OperationDefinition {
  return new OperationDefinition(options as OperationOptions<never>)
}

function nothing(): void {}

export const labelsAtRoot: TimeFigure = labelsFigure(0)
export const labelsAfter5: TimeFigure = labelsFigure(5)
