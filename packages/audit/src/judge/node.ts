import {
  type IdentityContext,
  isOutcome,
  type KestEntry,
  type KestErrorCode,
  LABEL,
  type Limits,
  type ParsedEntry,
  parseEntry,
  ROOT_PARENT,
} from '@kest/core'
import type { AuditFinding } from '../finding.js'
import { type ExportedSpan, placeText } from '../span/exported-span.js'
import type { EntryStatus } from './audited-entry.js'
import { FindingList } from './finding-list.js'
import type { HandledMessage } from './message-findings.js'

/** `span`: it was exported. `passport`: only the `kest.passport` of another has it. `foreign`: another trace has it. */
export type Source = 'span' | 'passport' | 'foreign'

/** What findings of one entry's spans are told apart. */
const MAX_SPAN_FINDINGS = 16

/**
 * An entry of a trace, and what its spans say of it: as much as it takes to judge the trace. The entry itself is text, and
 * read again when it is asked for, unless it may stay.
 */
export class Node {
  readonly jws: string
  readonly hash: string
  readonly entryId: string
  readonly principal: string
  /** As it names it; `null` when it names none. */
  readonly traceId: string | null
  readonly timestampMs: number
  /** Hashes; a root has none. */
  readonly parents: readonly string[]
  readonly source: Source
  /** Which message it handled; `null` when no sender has named one. */
  readonly message: HandledMessage | null
  /** Hashes of the receipts that it names (K-RECEIPT). */
  readonly receipts: readonly string[]
  /** Whether it calls itself the outcome of an operation (K-OUTCOME). */
  readonly outcome: boolean
  /** In how many it was exported. */
  spans = 0
  /** Of the first of them. */
  place: string | null = null
  service: string | null = null
  /** Whether a witness has received one of them. */
  witnessed = false
  /** What its spans say otherwise. It counts unless the entry fails: then neither side is a fact. */
  contradictions: FindingList | undefined
  /** Passports of its spans with entries that only passports have. */
  passports: HeldPassport[] | undefined
  readonly #limits: Limits
  readonly #parsed: ParsedEntry | undefined

  /** @param stays whether the parsed entry may stay in memory */
  constructor(parsed: ParsedEntry, source: Source, limits: Limits, stays: boolean) {
    const { entry_id, timestamp_ms, labels, parent_ids } = parsed.entry
    this.jws = parsed.jws
    this.hash = parsed.hash
    this.entryId = entry_id
    this.principal = labels[LABEL.principal] as string
    this.traceId = labels[LABEL.traceId] ?? null
    this.timestampMs = timestamp_ms
    this.parents = parent_ids[0] === ROOT_PARENT ? NONE : parent_ids
    this.source = source
    this.message = messageOf(labels)
    this.receipts = receiptsOf(labels)
    this.outcome = isOutcome(parsed.entry)
    this.#limits = limits
    this.#parsed = stays ? parsed : undefined
  }

  get entry(): KestEntry {
    return this.parsed().entry
  }

  /** What is signed, if it stays in memory. */
  get kept(): KestEntry | undefined {
    return this.#parsed?.entry
  }

  parsed(): ParsedEntry {
    return this.#parsed ?? parseEntry(this.jws, { limits: this.#limits })
  }

  see({ place, service, receivedAt }: ExportedSpan): void {
    if (this.spans++ === 0) {
      this.place = placeText(place)
      this.service = service
    }
    if (receivedAt !== null) this.witnessed = true
  }

  /** @param told whether it is told apart from others, and not merely counted */
  contradict(one: AuditFinding, told: boolean): void {
    this.contradictions ??= new FindingList(MAX_SPAN_FINDINGS)
    if (told) this.contradictions.add(one)
    else this.contradictions.count(one)
  }

  /** Whether it is an entry of the trace itself: a passport may have entries of others. */
  isOf(traceId: string | null): boolean {
    return this.source === 'span' || this.traceId === traceId
  }
}

function messageOf(labels: KestEntry['labels']): HandledMessage | null {
  const id = labels[LABEL.message]
  if (id === undefined) return null
  return { id, place: labels[LABEL.place] ?? null, count: Number(labels[LABEL.delivery] ?? 1) }
}

const HASH = /^[0-9a-f]{64}$/

function receiptsOf(labels: KestEntry['labels']): readonly string[] {
  const named = labels[LABEL.receipts]
  return named === undefined ? NONE : [...new Set(named.split(',').filter((hash) => HASH.test(hash)))]
}

const NONE: readonly string[] = Object.freeze([])

/** A passport in a span of an entry that ends with it. */
export interface HeldPassport {
  readonly place: string
  /** Those that only passports have: it is known later whether they are of the lineage. */
  readonly strangers: readonly Node[]
  readonly lacksParent: boolean
}

/** An entry of which it is known what holds. */
export interface JudgedNode {
  readonly node: Node
  readonly status: EntryStatus
  /** Why it failed. */
  readonly failure: Failure | null
  /** What it is worth, when it is verified (K-EFF). */
  readonly effective: Effective | null
  readonly findings: readonly AuditFinding[]
}

export interface Failure {
  readonly code: KestErrorCode
  readonly message: string
  readonly entryId: string | null
}

export interface Effective {
  readonly trustScore: number
  readonly taints: readonly string[]
  readonly identity: IdentityContext | null
  readonly identityBy: string | null
}

/** Where it came from, for a finding. */
export function detailsOf({ hash, place }: Node): { entryHash: string; place: string | null } {
  return { entryHash: hash, place }
}
