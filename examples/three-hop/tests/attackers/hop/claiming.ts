import { type Claim, entryOn } from '../support/forge.js'
import type { Play } from './attack.js'

/** Builds on what it got, and claims this. */
export function claiming(claim: Claim): Play {
  return async (mallory) => {
    const { root } = await mallory.isCalled()
    return mallory.sends([root, entryOn(mallory.signer, [root], claim).jws])
  }
}
