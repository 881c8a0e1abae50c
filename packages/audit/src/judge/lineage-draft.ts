import { entryHash, KestError, type Limits, type ParsedEntry, parseDenial, parseEntry } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { cutOff } from '../span/cut-off.js'
import { type ExportedSpan, placeText } from '../span/exported-span.js'
import { type Denial, type DraftedDenial, denialDifferences, denialOf, hasEntry, isDenial } from './denial.js'
import { FindingList } from './finding-list.js'
import { brokenDenial } from './judge-denials.js'
import { type HeldPassport, Node, type Source } from './node.js'
import type { JudgeRules } from './options.js'
import { brokenReceipt, type DraftedReceipt } from './receipt.js'
import { spanDifferences } from './span-differences.js'
import { LACKS_PARENT, passportFinding, passportOf, settlePassports } from './span-passport.js'

/** Beside its text, of an entry: what it takes in memory while its trace is judged. */
const NODE_BYTES = 1_024
/** Entries that stay parsed: of all but very large traces. */
const PARSED_BYTES = 4_194_304
/** Denials that are listed; all are counted. Anybody can cause some. */
const MAX_DENIALS = 1_000
/** Entries among which one is found faster by its text than by its hash. */
const FEW = 8
/** Words of spans without a valid entry, of one trace, that are held against the others; beyond, it is judged in part. */
const MAX_CLAIMS = 65_536
/** Entries that only passports have and spans rest on, each once for each span. */
const MAX_STRANGERS = 1_048_576

/** A span's word that an entry is there. */
export interface TipClaim {
  readonly hash: string
  readonly place: string
  /** The entry of that span, which it is not; `null` for a span without one. */
  readonly by: Node | null
}

/** A span that tells of an authorization without a signature. */
export interface UnsignedSpan {
  readonly place: string
  readonly tips: readonly string[]
}

/** A trace before it is verified: its entries, and what they name that is not there. */
export interface LineageDraft {
  /** By hash: an entry that was exported twice is there once. */
  readonly nodes: Map<string, Node>
  /** Of spans whose `kest.signature` is no entry. */
  readonly malformed: FindingList
  /** What those claim to be. */
  readonly malformedTips: ReadonlySet<string>
  readonly unsigned: readonly UnsignedSpan[]
  /** Tips that spans claim, other than their own entry. */
  readonly claims: readonly TipClaim[]
  /** Denials that are signed, as far as can be seen: each once. */
  readonly signed: readonly DraftedDenial[]
  /** What spans have for such, and is none. */
  readonly brokenDenials: FindingList
  /** Receipts, as far as can be seen: each once. */
  readonly receipts: readonly DraftedReceipt[]
  /** What spans have for such, and is none. */
  readonly brokenReceipts: FindingList
  /** The first of the others. No evidence of anything (K-AUDIT). */
  readonly denials: readonly Denial[]
  readonly denialCount: number
  /** How many spans it is made of. */
  readonly spans: number
  /** Spans, and entries in passports, that are not in it because there are too many. */
  readonly dropped: number
  /** Hashes that entries name as parents, and that this trace has not, or only in a passport. */
  readonly wanted: ReadonlySet<string>
  /** Hashes that spans, or passports in them, merely claim as tips, and that this trace has not, or only in a passport. */
  readonly claimed: ReadonlySet<string>
  /** Of those and of what is wanted, what other traces have. */
  readonly elsewhere: ReadonlySet<string>
  /** Those that may be in other traces, and were not looked for. */
  readonly unsought: ReadonlySet<string>
}

/**
 * Puts the entries of a trace together, of each no more than it takes to judge them. What is missing among its spans may be in
 * the `kest.passport` of another: then it can be proven, though it was never exported.
 *
 * @param spans looked through twice
 * @param foreign entries of other traces that this one builds on
 */
export function draftLineage(
  traceId: string | null,
  spans: Iterable<ExportedSpan>,
  foreign: Iterable<string>,
  rules: JudgeRules,
): LineageDraft {
  const drafting = new Drafting(traceId, rules)
  for (const span of spans) drafting.see(span)
  for (const jws of foreign) drafting.addForeign(jws)
  if (drafting.passports > 0) for (const span of spans) drafting.seePassport(span)
  return drafting.end()
}

class Drafting {
  readonly #traceId: string | null
  readonly #rules: JudgeRules
  readonly #nodes = new Map<string, Node>()
  readonly #malformed = new FindingList()
  readonly #malformedTips = new Set<string>()
  readonly #unsigned: UnsignedSpan[] = []
  readonly #claims: TipClaim[] = []
  readonly #denials: Denial[] = []
  readonly #signed = new Map<string, DraftedDenial>()
  readonly #brokenDenials = new FindingList()
  readonly #receipts = new Map<string, DraftedReceipt>()
  readonly #brokenReceipts = new FindingList()
  /** Last entries of passports in spans that have no entry: they were theirs. */
  readonly #lostTips: Node[] = []
  #denialCount = 0
  #spans = 0
  #dropped = 0
  #bytes = 0
  #strangers = 0
  #contradictions = 0
  /** Spans that have one. */
  passports = 0

  constructor(traceId: string | null, rules: JudgeRules) {
    this.#traceId = traceId
    this.#rules = rules
  }

  see(span: ExportedSpan): void {
    this.#spans++
    const { signature, passport } = span.claims
    if (passport !== undefined) this.passports++
    const isProof = span.claims.denial !== undefined && this.#addSigned(span)
    const isReceipt = span.claims.receipt !== undefined
    if (isReceipt) this.#addReceipt(span)
    if (signature === undefined) {
      if (isReceipt && !hasEntry(span)) return
      if (isDenial(span)) {
        if (!isProof) this.#addDenial(span)
      } else if (!isProof || hasEntry(span)) this.#addUnsigned(span)
    } else if (typeof signature === 'string') this.#addEntry(signature, span)
    else this.#addMalformed(span, NO_TEXT)
  }

  addForeign(jws: string): void {
    if (this.#nodeOf(jws) === undefined) this.#parse(jws, 'foreign')
  }

  /** Once all entries of spans are known. */
  seePassport(span: ExportedSpan): void {
    const { signature, passport } = span.claims
    if (passport === undefined) return
    const entries = passportOf(span, this.#rules.limits)
    const nodes = entries === undefined ? undefined : this.#recover(entries)
    if (signature === undefined) {
      const tip = nodes?.at(-1)
      if (tip?.isOf(this.#traceId)) this.#lostTips.push(tip)
      return
    }
    const own = typeof signature === 'string' ? this.#nodeOf(signature) : undefined
    if (own === undefined) return
    const differs = (message: string): void =>
      this.#contradict(own, passportFinding(own, placeText(span.place), message))
    if (nodes === undefined) differs(`the passport in the span cannot be read${cutOff(passport)}`)
    else if (nodes.at(-1) !== own) differs('the passport in the span does not end with its entry')
    else this.#hold(own, nodes, span)
  }

  end(): LineageDraft {
    this.#forgetStrangers()
    return {
      nodes: this.#nodes,
      malformed: this.#malformed,
      malformedTips: this.#malformedTips,
      unsigned: this.#unsigned,
      claims: this.#claims,
      signed: [...this.#signed.values()],
      brokenDenials: this.#brokenDenials,
      receipts: [...this.#receipts.values()],
      brokenReceipts: this.#brokenReceipts,
      denials: this.#denials,
      denialCount: this.#denialCount,
      spans: this.#spans,
      dropped: this.#dropped,
      ...this.#missing(),
      elsewhere: NONE,
      unsought: NONE,
    }
  }

  /** It is no entry of the lineage, whose process exports it itself. */
  #addReceipt({ claims: { receipt, receiptHolder }, place: at }: ExportedSpan): void {
    const place = placeText(at)
    const parsed = typeof receipt === 'string' ? tryParse(receipt, this.#rules.limits) : NO_TEXT
    if (parsed instanceof KestError) {
      this.#brokenReceipts.add(brokenReceipt(parsed, place, cutOff(receipt)))
      return
    }
    if (this.#receipts.has(parsed.hash)) return
    const bytes = parsed.jws.length + NODE_BYTES
    if (this.#bytes + bytes > this.#rules.traceBytes) {
      this.#dropped++
      return
    }
    this.#bytes += bytes
    const holder = typeof receiptHolder === 'string' ? receiptHolder : null
    this.#receipts.set(parsed.hash, { parsed, holder, place })
  }

  #addDenial(span: ExportedSpan): void {
    this.#denialCount++
    if (this.#denials.length === MAX_DENIALS) return
    this.#denials.push(denialOf(span, span.claims.denial === undefined ? 'unsigned' : 'failed'))
  }

  /** @returns whether it has the form of a signed denial */
  #addSigned(span: ExportedSpan): boolean {
    const { denial } = span.claims
    if (typeof denial === 'string' && this.#signed.has(denial)) return true
    const place = placeText(span.place)
    try {
      const parsed = parseDenial(denial, this.#rules.limits)
      const bytes = parsed.jws.length + NODE_BYTES
      this.#denialCount++
      if (this.#bytes + bytes > this.#rules.traceBytes) {
        this.#dropped++
        return true
      }
      this.#bytes += bytes
      const said = denialOf(span)
      this.#signed.set(parsed.jws, { parsed, said, differing: denialDifferences(span, parsed) })
      // Whoever refused has had these: that they never came is missed.
      for (const hash of parsed.denial.parents) this.#claim({ hash, place, by: null })
      return true
    } catch (error) {
      if (!(error instanceof KestError)) throw error
      this.#brokenDenials.add(brokenDenial(error, place, cutOff(span.claims.denial)))
      return false
    }
  }

  #addUnsigned(span: ExportedSpan): void {
    if (this.#unsigned.length === MAX_CLAIMS) {
      this.#dropped++
      return
    }
    const tips = [claimedTip(span), passportTip(span, this.#rules.limits)].filter((tip) => tip !== undefined)
    const place = placeText(span.place)
    this.#unsigned.push({ place, tips })
    for (const hash of tips) this.#claim({ hash, place, by: null })
  }

  #addMalformed(span: ExportedSpan, { code, message }: KestError): void {
    const details = { cause: code, place: placeText(span.place) }
    const why = withoutPlace(message) + cutOff(span.claims.signature)
    this.#malformed.add(finding('malformed', why, details))
    const tip = claimedTip(span)
    if (tip === undefined) return
    if (this.#malformedTips.size < MAX_CLAIMS) this.#malformedTips.add(tip)
    else this.#dropped++
  }

  #addEntry(jws: string, span: ExportedSpan): void {
    const known = this.#nodeOf(jws)
    const parsed = known?.parsed() ?? this.#parse(jws, 'span')
    if (parsed === null) return
    if (parsed instanceof KestError) {
      this.#addMalformed(span, parsed)
      return
    }
    const node = known ?? (this.#nodes.get(parsed.hash) as Node)
    // A span's names are its exporter's words, and stay with its entry.
    if (node.spans === 0) this.#bytes += span.service?.length ?? 0
    node.see(span)
    for (const one of spanDifferences(span, parsed, this.#rules)) this.#contradict(node, one)
    const tip = claimedTip(span)
    if (tip !== undefined && tip !== node.hash)
      this.#claim({ hash: tip, place: placeText(span.place), by: node })
  }

  /** @returns `null` when there is no room for it */
  #parse(jws: string, source: Source): ParsedEntry | KestError | null {
    const bytes = jws.length + NODE_BYTES
    if (this.#bytes + bytes > this.#rules.traceBytes) {
      this.#dropped++
      return null
    }
    const parsed = tryParse(jws, this.#rules.limits)
    if (parsed instanceof KestError) return parsed
    this.#bytes += bytes
    const stays = this.#bytes <= PARSED_BYTES
    this.#nodes.set(parsed.hash, new Node(parsed, source, this.#rules.limits, stays))
    return parsed
  }

  #nodeOf(jws: string): Node | undefined {
    if (this.#nodes.size > FEW) return this.#nodes.get(entryHash(jws))
    for (const node of this.#nodes.values()) if (node.jws === jws) return node
    return undefined
  }

  #contradict(node: Node, one: AuditFinding): void {
    node.contradict(one, this.#contradictions++ < MAX_CLAIMS)
  }

  #claim(claim: TipClaim): void {
    if (this.#claims.length < MAX_CLAIMS) this.#claims.push(claim)
    else this.#dropped++
  }

  /** @returns the entries of a passport; `undefined` when one is none, or there is no room for it */
  #recover(entries: readonly string[]): Node[] | undefined {
    const nodes: Node[] = []
    for (const jws of entries) {
      const node = this.#nodeOf(jws) ?? this.#parsedNode(jws)
      if (node === undefined) return undefined
      nodes.push(node)
    }
    return nodes
  }

  #parsedNode(jws: string): Node | undefined {
    const parsed = this.#parse(jws, 'passport')
    return parsed === null || parsed instanceof KestError ? undefined : this.#nodes.get(parsed.hash)
  }

  #hold(own: Node, nodes: readonly Node[], { place }: ExportedSpan): void {
    const hashes = new Set(nodes.map(({ hash }) => hash))
    const lacksParent = !own.parents.every((hash) => hashes.has(hash))
    const strangers = nodes.filter(({ source }) => source === 'passport')
    if (strangers.length === 0) {
      if (lacksParent) this.#contradict(own, passportFinding(own, placeText(place), LACKS_PARENT))
      return
    }
    this.#strangers += strangers.length
    if (this.#strangers > MAX_STRANGERS) {
      this.#dropped++
      return
    }
    own.passports ??= [] as HeldPassport[]
    own.passports.push({ place: placeText(place), strangers, lacksParent })
  }

  /**
   * A passport is not signed: anybody can put entries of others into it. Of what only passports have, what entries of this
   * trace build on belongs to it, and the entry that a span without one had, with what that builds on.
   */
  #forgetStrangers(): void {
    const pending = [...this.#nodes.values()].filter(({ source }) => source !== 'passport')
    if (pending.length === this.#nodes.size) return
    for (const tip of this.#lostTips) pending.push(tip)
    const ours = new Set(pending)
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      for (const hash of node.parents) {
        const parent = this.#nodes.get(hash)
        if (parent === undefined || ours.has(parent)) continue
        ours.add(parent)
        pending.push(parent)
      }
    }
    for (const [hash, node] of this.#nodes) if (!ours.has(node)) this.#nodes.delete(hash)
    for (const node of ours)
      settlePassports(
        node,
        (stranger) => !ours.has(stranger),
        (of, one) => this.#contradict(of, one),
      )
  }

  #missing(): Pick<LineageDraft, 'wanted' | 'claimed'> {
    const isThere = (hash: string): boolean => {
      const node = this.#nodes.get(hash)
      return node !== undefined && node.source !== 'passport'
    }
    const wanted = new Set<string>()
    const claimed = new Set<string>()
    for (const node of this.#nodes.values()) {
      if (node.source === 'passport') claimed.add(node.hash)
      for (const hash of node.parents) if (!isThere(hash)) wanted.add(hash)
    }
    for (const { hash } of this.#claims) if (!isThere(hash)) claimed.add(hash)
    for (const hash of this.#malformedTips) if (!isThere(hash)) claimed.add(hash)
    return { wanted, claimed }
  }
}

const NONE: ReadonlySet<string> = new Set()
const HASH = /^[0-9a-f]{64}$/
const NO_TEXT = new KestError(
  'ERR_KEST_ENTRY_MALFORMED',
  'it is not a JWS compact string, is there twice, or is longer than any entry',
)

/** The hash of what a span claims to be its entry. */
function claimedTip({ claims: { chainTip } }: ExportedSpan): string | undefined {
  return typeof chainTip === 'string' && HASH.test(chainTip) ? chainTip : undefined
}

/** The hash of the last entry of a span's passport: what it claims to be its tip. */
function passportTip(span: ExportedSpan, limits: Limits): string | undefined {
  const last = passportOf(span, limits)?.at(-1)
  return last === undefined ? undefined : entryHash(last)
}

export function tryParse(jws: string, limits: Limits): ParsedEntry | KestError {
  try {
    return parseEntry(jws, { limits })
  } catch (error) {
    if (error instanceof KestError) return error
    throw error
  }
}

/** Core says at which entry of a list: here that is the finding's own. */
export function withoutPlace(message: string): string {
  return message.replace(/^entry(?: \d+)?: /, '')
}
