import { PolicyDeniedError, type PolicyEngine } from '@kest/core'
import { CedarWasmEngine } from '../../src/index.js'
import { requestOf } from './requests.js'
import { type Case, ENTITIES, type Outcome, POLICIES } from './table.js'

/** The policies and entities of the table, decided in process. */
export function inProcess(): Promise<CedarWasmEngine> {
  const policies = Object.entries(POLICIES).map(([id, text]) => `@id("${id}")\n${text}`)
  return CedarWasmEngine.load({ policies, entities: ENTITIES })
}

/** What an engine makes of a case. Versions of Cedar word what failed differently, but name the same policies. */
export async function outcomeOf(engine: PolicyEngine, { policies, asked }: Case): Promise<Outcome> {
  try {
    const decision = await engine.evaluate(requestOf(policies, asked), new AbortController())
    if (typeof decision === 'boolean') throw new TypeError('a decision of Cedar has a reason')
    return [decision.allow ? 'allow' : 'deny', ...namedIn(decision.reason)]
  } catch (error) {
    if (!(error instanceof PolicyDeniedError) || error.code !== 'ERR_KEST_ENGINE') throw error
    return ['none', ...namedIn(error.reason)]
  }
}

function namedIn(text = ''): readonly string[] {
  const words = text.split(/[^\w-]+/)
  return Object.keys(POLICIES)
    .filter((id) => words.includes(id))
    .sort()
}
