import { X509Source } from '@kest/spiffe'
import type { Settings } from '../../services/settings.js'
import { createLineage, type Link } from './lineage.js'
import { createQuestion } from './question.js'

/** What each service of the floor does with a request before it acts. @returns the passport with its own entry */
export type Hop = (baggage: string | string[] | undefined, item: string) => Promise<readonly string[]>

/**
 * @param policy that OPA is asked for, where there is one
 * @throws {Error} by rejecting, for what does not verify, and what is denied
 */
export async function createHop(policy: string, { opa }: Settings): Promise<Hop> {
  // The identity of the one that it stands for. Once: an SVID holds longer than a measurement takes.
  using source = await X509Source.connect()
  const svid = source.current()
  const lineage = createLineage(svid, policy)
  const ask = opa === null ? null : createQuestion(opa, policy, svid.id.toString())
  return async (baggage, item) => {
    const links: readonly Link[] = baggage === undefined ? [] : lineage.read(String(baggage))
    if (ask !== null && !(await ask(links, item))) throw new Error(`${policy} denies`)
    return lineage.sign(links, item)
  }
}
