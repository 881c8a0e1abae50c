import { EntriesVerifier, entryHash } from '@kest/core'
import type { EntryShare } from '../judge/judge-lineages.js'
import { draftLineage, type LineageDraft, tryParse } from '../judge/lineage-draft.js'
import { Node } from '../judge/node.js'
import type { JudgeRules } from '../judge/options.js'
import type { ExportedSpan } from '../span/exported-span.js'

/** Times that all spans are looked through for entries of other traces. */
const MAX_PASSES = 32
/** Hashes of other traces' entries that are looked for. Anybody can name some, so they may not fill memory. */
const MAX_NAMED = 262_144

/** Entries of one lineage that are verified at once. */
const AT_ONCE = 1_024
/** Entries of a partition that are looked through at once. */
const BLOCK = 65_536
/** The pass before the first. */
const BEFORE = -1
const NONE: ReadonlySet<string> = new Set()

/**
 * What lineages name and do not have, and so may be in other traces: of parents, only those that signed entries name. Anybody could
 * name any lineage otherwise, and have it looked for, and judged once more, at the price of a span.
 */
export class Named {
  /** The parents, by the lineage that names them; none of one that only claims tips. */
  readonly links: Map<string, ReadonlySet<string>> = new Map()
  readonly wanted: Set<string> = new Set()
  readonly claimed: Set<string> = new Set()
  #names = 0
  /** Whether they name more than is looked for. */
  more = false

  /**
   * @returns whether what the lineage names is looked for, so that it is to be judged when that was found; or what it names, where there is
   * no more room for that
   */
  async add(
    id: string,
    traceId: string | null,
    draft: LineageDraft,
    rules: JudgeRules,
  ): Promise<boolean | ReadonlySet<string>> {
    const links = await signedLinks(traceId, draft, rules)
    const { claimed } = draft
    const names = links.size + claimed.size
    if (names === 0) return false
    if (this.#names + names > MAX_NAMED) {
      this.more = true
      return new Set([...links, ...claimed])
    }
    this.#names += names
    this.links.set(id, links)
    for (const hash of links) this.wanted.add(hash)
    for (const hash of claimed) this.claimed.add(hash)
    return true
  }
}

/** Hashes that signed entries of a trace name as parents and it has not, or only in a passport; and what those name of such. */
async function signedLinks(
  traceId: string | null,
  { nodes, wanted }: LineageDraft,
  rules: JudgeRules,
): Promise<Set<string>> {
  const links = new Set<string>()
  const linksOf = (node: Node): string[] => node.parents.filter((hash) => wanted.has(hash))
  if (wanted.size === 0) return links
  const linking = [...nodes.values()].filter((node) => node.isOf(traceId) && linksOf(node).length > 0)
  const verifier = new EntriesVerifier(rules.verifier)
  for (let from = 0; from < linking.length; from += AT_ONCE) {
    const some = linking.slice(from, from + AT_ONCE)
    const verdicts = await verifier.verify(some.map((node) => node.parsed()))
    for (const [i, { failure }] of verdicts.entries())
      if (failure === null) for (const hash of linksOf(some[i] as Node)) links.add(hash)
  }
  // A set goes on through what is added to it.
  for (const hash of links) {
    const node = nodes.get(hash)
    if (node !== undefined) for (const parent of linksOf(node)) links.add(parent)
  }
  return links
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
  /** What was found to be named, and not looked for in all spans: lineages go on in more traces, or in more entries, than were followed. */
  readonly unsought: ReadonlySet<string>
}

/**
 * Finds what is named wherever it is. Spans are looked through once for each time that a lineage goes on in another trace, and no
 * more than {@link MAX_PASSES} times; what is found is held up to a bound: anybody can make entries that name others.
 *
 * @param shares all entries, each time it is called, or those of them that are named, also while they are looked through
 * @param bytes of entries that are held
 */
export async function findForeign(
  { wanted, claimed }: Named,
  shares: (named: ReadonlySet<string>) => AsyncIterable<EntryShare>,
  { limits, traceBytes: bytes }: JudgeRules,
): Promise<Foreign> {
  const entries = new Map<string, ForeignEntry>()
  const tips = new Set<string>()
  const open = new Set(wanted)
  /** In which pass others were found to be named: in the one behind it all spans are looked through for them. */
  const since = new Map<string, number>()
  const first = new Set([...wanted, ...claimed])
  /** @param whole how many passes were ended */
  const found = (whole: number): Foreign => {
    const unsought = [...open].filter((hash) => (since.get(hash) ?? BEFORE) + 1 >= whole)
    const unclaimed = whole > 0 ? [] : [...claimed].filter((hash) => !tips.has(hash))
    return { entries, tips, unsought: new Set([...unsought, ...unclaimed]) }
  }
  let held = 0
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const before = entries.size
    for await (const share of shares(pass === 0 ? first : open)) {
      for (const here of blocksOf(share)) {
        if (pass === 0) for (const hash of common(claimed, here)) tips.add(hash)
        const pending = common(open, here)
        for (let hash = pending.pop(); hash !== undefined; hash = pending.pop()) {
          open.delete(hash)
          if (entries.has(hash)) continue
          const jws = here.get(hash) as string
          held += jws.length
          if (held > bytes) {
            // They are there, and are not held.
            for (const seen of [hash, ...pending]) {
              open.add(seen)
              since.set(seen, pass)
            }
            return found(pass)
          }
          const parents = parentsIn(jws, limits)
          entries.set(hash, { jws, parents })
          for (const parent of parents) {
            if (entries.has(parent)) continue
            if (here.has(parent)) pending.push(parent)
            else {
              if (!open.has(parent)) since.set(parent, pass)
              open.add(parent)
              if (pass === 0) first.add(parent)
            }
          }
        }
      }
    }
    if (open.size === 0 || entries.size === before) return { entries, tips, unsought: NONE }
  }
  return found(MAX_PASSES)
}

/** What both have, by way of the smaller. */
function common(hashes: ReadonlySet<string>, here: ReadonlyMap<string, string>): string[] {
  return here.size < hashes.size
    ? [...here.keys()].filter((hash) => hashes.has(hash))
    : [...hashes].filter((hash) => here.has(hash))
}

/** Entries by their hash, some at once. */
function* blocksOf(share: EntryShare): Generator<ReadonlyMap<string, string>> {
  let block = new Map<string, string>()
  for (const signature of share.signatures()) {
    block.set(entryHash(signature), signature)
    if (block.size < BLOCK) continue
    yield block
    block = new Map()
  }
  yield block
}

function parentsIn(jws: string, limits: JudgeRules['limits']): readonly string[] {
  const parsed = tryParse(jws, limits)
  return 'jws' in parsed ? new Node(parsed, 'foreign', limits, false).parents : []
}

/**
 * A lineage with what it builds on in other traces, and what that builds on: as much as a passport may hold.
 * @param links what signed entries of the trace name
 */
export function withForeign(
  traceId: string | null,
  spans: Iterable<ExportedSpan>,
  links: ReadonlySet<string>,
  foreign: Foreign,
  rules: JudgeRules,
): LineageDraft {
  const draft = draftLineage(traceId, spans, [], rules)
  const pending = [...draft.wanted].filter((hash) => links.has(hash))
  const added = new Map<string, string>()
  for (
    let hash = pending.pop();
    hash !== undefined && added.size < rules.limits.entries;
    hash = pending.pop()
  ) {
    const entry = added.has(hash) ? undefined : foreign.entries.get(hash)
    if (entry === undefined) continue
    added.set(hash, entry.jws)
    pending.push(...entry.parents)
  }
  const whole = added.size === 0 ? draft : draftLineage(traceId, spans, added.values(), rules)
  const elsewhere = [
    ...[...whole.claimed].filter((hash) => foreign.tips.has(hash)),
    ...[...whole.wanted].filter((hash) => foreign.entries.has(hash)),
  ]
  return { ...whole, elsewhere: new Set(elsewhere) }
}
