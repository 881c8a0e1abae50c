import { type AuditFinding, finding } from '../finding.js'
import { findForeign, Named, withForeign } from '../group/foreign.js'
import type { Lineage } from '../group/partition.js'
import type { TraceReport } from './audited-entry.js'
import { judgeTrace } from './judge-trace.js'
import { draftLineage, type LineageDraft } from './lineage-draft.js'
import { type JudgeRules, remembering } from './options.js'

/** Spans that are judged at once. Enough that the threads of the pool are woken seldom, few enough to be garbage soon. */
const IN_FLIGHT = 64

/** Entries of some spans, wherever those are. */
export interface EntryShare {
  /** Every `kest.signature` there is. */
  signatures(): Iterable<string>
}

/** What is to be judged. */
export interface LineageSource {
  /** @param only those with these ids; default: all that are to be judged. Their spans are read only as long as the next is not asked for */
  lineages(only?: ReadonlyMap<string, unknown>): Iterable<Lineage> | AsyncIterable<Lineage>
  /**
   * Entries that those may build on, each time anew: of what is to be judged, and of everything else.
   * @param named hashes of those that are looked for, which are more when one was found that names others; the rest may be left out
   */
  entries(named: ReadonlySet<string>): AsyncIterable<EntryShare>
  /**
   * Hashes that were asked for, and that nobody looked for: read once {@link entries} has ended. A lineage that names one has a finding
   * `limit`, and it is not said that the entry was never exported. Default: none.
   */
  readonly unsought?: ReadonlySet<string>
}

/** A lineage, and what it amounts to. */
export interface JudgedLineage {
  readonly id: string
  readonly report: TraceReport
  /** Whether it names entries of others that were looked for, and are nowhere: they may come. */
  readonly wanting: boolean
}

/**
 * Judges lineages, each by itself: in no particular order, and those that build on entries of others last, when these were found.
 *
 * @param note told of what is of no lineage
 * @throws {KestError} what key sources throw that is about no entry
 */
export async function* judgeLineages(
  source: LineageSource,
  rules: JudgeRules,
  note: (one: AuditFinding) => void,
): AsyncGenerator<JudgedLineage> {
  const named = new Named()
  const sharing = remembering(rules)
  const passes = [
    [whole(source, named, sharing, rules), rules],
    [linked(source, named, sharing, note), sharing],
  ] as const
  for (const [chunks, by] of passes) {
    let running: Promise<JudgedLineage>[] = []
    for await (const drafted of chunks) {
      // All at once: to wake the threads of the pool for each takes longer than what they then do.
      const begun = drafted.map((one) => judgeOne(one, by))
      // Whoever leaves the loop early does not wait for them.
      for (const judged of begun) judged.catch(() => undefined)
      for (const judged of running) yield await judged
      running = begun
    }
    for (const judged of running) yield await judged
  }
  if (named.more) note(finding('limit', 'more entries of other traces are named than were looked for'))
}

interface Drafted extends Pick<Lineage, 'id' | 'traceId'> {
  readonly draft: LineageDraft
  readonly wanting: boolean
}

/** Drafts that are judged at once, as they come. */
class Chunk {
  #drafts: Drafted[] = []
  #size = 0

  /** @returns all of them, when they are enough */
  add(one: Drafted): readonly Drafted[] | undefined {
    this.#drafts.push(one)
    // What has no entry is something, too.
    this.#size += Math.max(1, one.draft.spans, one.draft.nodes.size)
    return this.#size < IN_FLIGHT ? undefined : this.take()
  }

  take(): readonly Drafted[] {
    const drafts = this.#drafts
    this.#drafts = []
    this.#size = 0
    return drafts
  }
}

/** Lineages that name nothing of others. Those that do are judged when all entries are known. */
async function* whole(
  source: LineageSource,
  named: Named,
  sharing: JudgeRules,
  rules: JudgeRules,
): AsyncGenerator<readonly Drafted[]> {
  const chunk = new Chunk()
  for await (const { id, traceId, spans } of source.lineages()) {
    const draft = draftLineage(traceId, spans, [], rules)
    const naming = draft.wanted.size > 0 || draft.claimed.size > 0
    const sought = naming && (await named.add(id, traceId, draft, sharing))
    if (sought === true) continue
    const known = sought === false ? draft : { ...draft, unsought: sought }
    const enough = chunk.add({ id, traceId, draft: known, wanting: false })
    if (enough !== undefined) yield enough
  }
  yield chunk.take()
}

/** Those that do. */
async function* linked(
  source: LineageSource,
  named: Named,
  sharing: JudgeRules,
  note: (one: AuditFinding) => void,
): AsyncGenerator<readonly Drafted[]> {
  if (named.links.size === 0) return
  const chunk = new Chunk()
  const foreign = await findForeign(named, (hashes) => source.entries(hashes), sharing)
  if (foreign.unsought.size > 0)
    note(finding('limit', 'lineages go on in more traces, or in more entries of them, than were followed'))
  const unsought = new Set([...foreign.unsought, ...(source.unsought ?? [])])
  for await (const { id, traceId, spans } of source.lineages(named.links)) {
    const links = named.links.get(id) as ReadonlySet<string>
    const draft = withForeign(traceId, spans, links, foreign, sharing)
    const drafted = { id, traceId, draft: { ...draft, unsought }, wanting: isWanting(draft, links) }
    const enough = chunk.add(drafted)
    if (enough !== undefined) yield enough
  }
  yield chunk.take()
}

/** Whether something is nowhere that signed entries of the lineage name, or entries of others that it builds on. */
function isWanting({ nodes, wanted, elsewhere }: LineageDraft, links: ReadonlySet<string>): boolean {
  const isNowhere = (hash: string): boolean => wanted.has(hash) && !elsewhere.has(hash)
  if ([...links].some(isNowhere)) return true
  return [...nodes.values()].some(({ source, parents }) => source === 'foreign' && parents.some(isNowhere))
}

async function judgeOne({ id, traceId, draft, wanting }: Drafted, rules: JudgeRules): Promise<JudgedLineage> {
  return { id, report: await judgeTrace(traceId, draft, rules), wanting }
}
