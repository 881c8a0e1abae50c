import { principalOf } from '../chain.js'
import { Failure } from '../failure.js'
import type { Identities } from './identities.js'

/**
 * Each hop makes a key in its memory, and the operator lists it under the name of the very process that told it
 * (K-PRINCIPAL).
 */
export const localKeys: Identities = {
  description: 'a key of its own for each service, listed by the operator',

  settingsOf: () => ({ args: ['--local-keys'] }),

  trustIn(hops) {
    const keys = [...hops].map(([name, { publicKey }]) => {
      if (publicKey === null) throw new Failure(`${name} has told no key`)
      return [principalOf(name), [publicKey]] as const
    })
    return { keys: Object.fromEntries(keys) }
  },

  async close() {},
}
