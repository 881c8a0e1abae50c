import { entryHash, type Limits, verifyEntries } from '@kest/core'
import { isOfTrace, type Node, tryParse } from '../judge/collect.js'
import { draftLineage, type LineageDraft } from '../judge/lineage-draft.js'
import type { JudgeRules } from '../judge/options.js'
import { parentHashes } from '../judge/order.js'
import type { ExportedSpan } from '../span/exported-span.js'
import type { Partition } from './partition.js'

/** Times that all spans are looked through for entries of other traces. */
const MAX_PASSES = 32
/** Hashes of other traces' entries that are looked for. Anybody can name some, so they may not fill memory. */
const MAX_NAMED = 262_144

/**
 * What traces name and do not have, and so may be in others: of parents, only those that signed entries name. Anybody could name any
 * lineage otherwise, and have it looked for, and judged once more, at the price of a span.
 */
export class Named {
  /** The parents, by the trace that names them; none of one that only claims tips. */
  readonly links: Map<string | null, ReadonlySet<string>> = new Map()
  readonly wanted: Set<string> = new Set()
  readonly claimed: Set<string> = new Set()
  /** Whether they name more than is looked for. */
  more = false

  /** @returns whether the lineages of the trace name anything */
  async add(traceId: string | null, drafts: readonly LineageDraft[], rules: JudgeRules): Promise<boolean> {
    const signed = await Promise.all(drafts.map((draft) => signedLinks(traceId, draft, rules)))
    const links = new Set(signed.flat())
    const claimed = new Set(drafts.flatMap((draft) => [...draft.claimed]))
    if (links.size === 0 && claimed.size === 0) return false
    this.links.set(traceId, links)
    this.#keep(this.wanted, links)
    this.#keep(this.claimed, claimed)
    return true
  }

  #keep(kept: Set<string>, hashes: ReadonlySet<string>): void {
    for (const hash of hashes) {
      if (kept.size < MAX_NAMED) kept.add(hash)
      else this.more = true
    }
  }
}

/** Hashes that signed entries of a trace name as parents and it has not, or only in a passport; and what those name of such. */
async function signedLinks(
  traceId: string | null,
  { nodes, wanted }: LineageDraft,
  { verify }: JudgeRules,
): Promise<string[]> {
  const linksOf = (node: Node): string[] => parentHashes(node).filter((hash) => wanted.has(hash))
  if (wanted.size === 0) return []
  const linking = [...nodes.values()].filter((node) => isOfTrace(traceId, node) && linksOf(node).length > 0)
  const verdicts = await verifyEntries(
    linking.map(({ parsed }) => parsed),
    verify,
  )
  const byHash = new Map([...nodes.values()].map((node) => [node.parsed.hash, node]))
  const links = new Set(linking.flatMap((node, i) => (verdicts[i]?.failure === null ? linksOf(node) : [])))
  // A set goes on through what is added to it.
  for (const hash of links) {
    const node = byHash.get(hash)
    if (node !== undefined) for (const parent of linksOf(node)) links.add(parent)
  }
  return [...links]
}

/** An entry of another trace. */
interface ForeignEntry {
  readonly jws: string
  readonly parents: readonly string[]
}

/** What other traces have of what was named. */
export interface Foreign {
  /** By hash: wanted entries, and what those build on. */
  readonly entries: ReadonlyMap<string, ForeignEntry>
  /** Claimed tips: they are there, and that is all there is to know. */
  readonly tips: ReadonlySet<string>
  /** Whether lineages go on in more traces, one after the other, than were followed. */
  readonly more: boolean
}

/**
 * Finds what is named wherever it is. Spans are looked through once for each time that a lineage goes on in another trace, and no
 * more than {@link MAX_PASSES} times: anybody can make entries that name others.
 *
 * @param partitions all spans, each time it is called
 */
export async function findForeign(
  { wanted, claimed }: Named,
  partitions: () => AsyncIterable<Partition>,
  limits: Limits,
): Promise<Foreign> {
  const entries = new Map<string, ForeignEntry>()
  const tips = new Set<string>()
  const open = new Set(wanted)
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const before = entries.size
    for await (const partition of partitions()) {
      const here = new Map<string, string>()
      for (const signature of partition.signatures()) here.set(entryHash(signature), signature)
      if (pass === 0) for (const hash of claimed) if (here.has(hash)) tips.add(hash)
      const pending = [...open].filter((hash) => here.has(hash))
      for (let hash = pending.pop(); hash !== undefined; hash = pending.pop()) {
        open.delete(hash)
        if (entries.has(hash)) continue
        const jws = here.get(hash) as string
        const parents = parentsIn(jws, limits)
        entries.set(hash, { jws, parents })
        for (const parent of parents) {
          if (entries.has(parent)) continue
          if (here.has(parent)) pending.push(parent)
          else open.add(parent)
        }
      }
    }
    if (open.size === 0 || entries.size === before) return { entries, tips, more: false }
  }
  return { entries, tips, more: true }
}

function parentsIn(jws: string, limits: Limits): readonly string[] {
  const parsed = tryParse(jws, limits)
  return 'jws' in parsed ? parentHashes({ parsed }) : []
}

/**
 * A lineage with what it builds on in other traces, and what that builds on: as much as a passport may hold.
 * @param links what signed entries of the trace name
 */
export function withForeign(
  traceId: string | null,
  spans: readonly ExportedSpan[],
  links: ReadonlySet<string>,
  foreign: Foreign,
  limits: Limits,
): LineageDraft {
  const draft = draftLineage(traceId, spans, [], limits)
  const pending = [...draft.wanted].filter((hash) => links.has(hash))
  const added = new Map<string, string>()
  for (let hash = pending.pop(); hash !== undefined && added.size < limits.entries; hash = pending.pop()) {
    const entry = added.has(hash) ? undefined : foreign.entries.get(hash)
    if (entry === undefined) continue
    added.set(hash, entry.jws)
    pending.push(...entry.parents)
  }
  const whole = added.size === 0 ? draft : draftLineage(traceId, spans, added.values(), limits)
  const elsewhere = [
    ...[...whole.claimed].filter((hash) => foreign.tips.has(hash)),
    ...[...whole.wanted].filter((hash) => foreign.entries.has(hash)),
  ]
  return { ...whole, elsewhere: new Set(elsewhere) }
}
