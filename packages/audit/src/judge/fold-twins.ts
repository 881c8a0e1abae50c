import { type AuditFinding, finding } from '../finding.js'
import { detailsOf, type JudgedNode } from './node.js'

/** Entries of a trace, each once. */
export interface Folded {
  readonly nodes: readonly JudgedNode[]
  readonly findings: readonly AuditFinding[]
}

/**
 * K-LOWS: anyone can make another valid signature of an ECDSA signature, and so another hash of the same entry. What is
 * signed is the same, so they are one: the one that others build on stays. Then, an `entry_id` is of one entry (K-ONCE).
 */
export function foldTwins(judged: readonly JudgedNode[]): Folded {
  const named = new Set(judged.flatMap(({ node }) => node.parents))
  const byId = new Map<string, SameId>()
  const findings: AuditFinding[] = []
  const folded = new Set<JudgedNode>()
  for (const one of judged) {
    const { node, status } = one
    if (status === 'failed') continue
    if (node.spans > 1)
      findings.push(finding('duplicated', `it was exported ${node.spans} times`, detailsOf(node)))
    const same = byId.get(node.entryId)
    if (same === undefined) {
      byId.set(node.entryId, new SameId(one))
      continue
    }
    const twin = same.get(one)
    if (twin !== undefined) {
      findings.push(
        finding('duplicated', 'it came with two valid signatures, and is one entry', detailsOf(node)),
      )
      // Both may be built on; then both stay, for their children's sake.
      if (!named.has(node.hash)) folded.add(one)
      else if (!named.has(twin.node.hash)) folded.add(twin)
      if (!folded.has(one)) same.set(one)
      continue
    }
    same.set(one)
    findings.push(
      finding(
        'entry-id-repeated',
        `its entry_id is also that of entry ${same.first.node.hash}`,
        detailsOf(node),
      ),
    )
  }
  return { nodes: judged.filter((node) => !folded.has(node)), findings }
}

/** Entries with one `entry_id`, by what is signed. Mostly there is one, and its content need not be looked at. */
class SameId {
  readonly first: JudgedNode
  #byContent: Map<string, JudgedNode> | undefined

  constructor(first: JudgedNode) {
    this.first = first
  }

  get({ node }: JudgedNode): JudgedNode | undefined {
    return this.#contents().get(contentOf(node))
  }

  set(one: JudgedNode): void {
    this.#contents().set(contentOf(one.node), one)
  }

  #contents(): Map<string, JudgedNode> {
    this.#byContent ??= new Map([[contentOf(this.first.node), this.first]])
    return this.#byContent
  }
}

/** What is signed. */
export function contentOf({ jws }: { readonly jws: string }): string {
  return jws.slice(0, jws.lastIndexOf('.'))
}
