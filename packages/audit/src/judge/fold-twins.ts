import { type AuditFinding, finding } from '../finding.js'
import { detailsOf, type JudgedNode } from './judged-node.js'
import { parentHashes } from './order.js'

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
  const named = new Set(judged.flatMap(parentHashes))
  const byId = new Map<string, SameId>()
  const findings: AuditFinding[] = []
  const folded = new Set<JudgedNode>()
  for (const node of judged) {
    if (node.status === 'failed') continue
    if (node.spans.length > 1)
      findings.push(finding('duplicated', `it was exported ${node.spans.length} times`, detailsOf(node)))
    const { entry_id: id } = node.parsed.entry
    const same = byId.get(id)
    if (same === undefined) {
      byId.set(id, new SameId(node))
      continue
    }
    const twin = same.get(node)
    if (twin !== undefined) {
      findings.push(
        finding('duplicated', 'it came with two valid signatures, and is one entry', detailsOf(node)),
      )
      // Both may be built on; then both stay, for their children's sake.
      if (!named.has(node.parsed.hash)) folded.add(node)
      else if (!named.has(twin.parsed.hash)) folded.add(twin)
      if (!folded.has(node)) same.set(node)
      continue
    }
    same.set(node)
    findings.push(
      finding(
        'entry-id-repeated',
        `its entry_id is also that of entry ${same.first.parsed.hash}`,
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

  get(node: JudgedNode): JudgedNode | undefined {
    return this.#contents().get(contentOf(node))
  }

  set(node: JudgedNode): void {
    this.#contents().set(contentOf(node), node)
  }

  #contents(): Map<string, JudgedNode> {
    this.#byContent ??= new Map([[contentOf(this.first), this.first]])
    return this.#byContent
  }
}

function contentOf({ parsed }: JudgedNode): string {
  return parsed.signingInput.toString('latin1')
}
