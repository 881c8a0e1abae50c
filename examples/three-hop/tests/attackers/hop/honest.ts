import { entryOn } from '../support/forge.js'
import type { Mallory } from '../support/mallory.js'

/** What an honest hop would send. */
export async function honest(mallory: Mallory): Promise<readonly string[]> {
  const { root } = await mallory.isCalled()
  return [root, entryOn(mallory.signer, [root]).jws]
}
