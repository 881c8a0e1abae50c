import { entryHash, type Limits } from '@kest/core'
import type { ExportedSpan } from '../span/exported-span.js'
import { type Collected, collect, isOfTrace, type Node, tryParse } from './collect.js'
import { parentHashes } from './order.js'

/** A trace before it is verified: its entries, and what they name that is not there. */
export interface LineageDraft extends Collected {
  /** The entries of each span's passport; `null` where it cannot be read, or holds what is no entry. */
  readonly passports: ReadonlyMap<ExportedSpan, readonly string[] | null>
  /** Hashes that entries name as parents, and that this trace has not, or only in a passport. */
  readonly wanted: ReadonlySet<string>
  /** Hashes that spans, or passports in them, merely claim as tips, and that this trace has not, or only in a passport. */
  readonly claimed: ReadonlySet<string>
  /** Of those and of what is wanted, what other traces have. */
  readonly elsewhere: ReadonlySet<string>
}

/**
 * Puts the entries of a trace together. What is missing among its spans may be in the `kest.passport` of another: then
 * it can be proven, though it was never exported.
 *
 * @param foreign entries of other traces that this one builds on
 */
export function draftLineage(
  traceId: string | null,
  spans: readonly ExportedSpan[],
  foreign: Iterable<string>,
  limits: Limits,
): LineageDraft {
  const collected = collect(spans, limits)
  for (const jws of foreign) addForeign(collected, jws, limits)
  const passports = new Map<ExportedSpan, readonly string[] | null>()
  for (const span of spans) {
    if (span.claims.passport !== undefined) passports.set(span, recover(collected, span, limits))
  }
  forgetStrangers(collected, traceId, passports)
  return { ...collected, passports, ...missingIn(collected, spans), elsewhere: NONE }
}

function addForeign({ nodes }: Collected, jws: string, limits: Limits): void {
  if (nodes.has(jws)) return
  const parsed = tryParse(jws, limits)
  if ('jws' in parsed) nodes.set(jws, { parsed, spans: [], source: 'foreign' })
}

/** @returns what the passport of a span holds; `null` when it is none */
function recover({ nodes }: Collected, { claims }: ExportedSpan, limits: Limits): readonly string[] | null {
  const entries = parsePassportText(claims.passport, limits)
  if (entries === undefined) return null
  for (const jws of entries) {
    if (nodes.has(jws)) continue
    const parsed = tryParse(jws, limits)
    if (!('jws' in parsed)) return null
    nodes.set(jws, { parsed, spans: [], source: 'passport' })
  }
  return entries
}

/**
 * A passport is not signed: anybody can put entries of others into it. Of what only passports have, what entries of this
 * trace build on belongs to it, and the entry that a span without one had, with what that builds on.
 */
function forgetStrangers(
  { nodes }: Collected,
  traceId: string | null,
  passports: LineageDraft['passports'],
): void {
  const pending = [...nodes.values()].filter(({ source }) => source !== 'passport')
  if (pending.length === nodes.size) return
  const byHash = new Map<string, Node>()
  for (const node of nodes.values()) byHash.set(node.parsed.hash, node)
  for (const [{ claims }, entries] of passports) {
    const tip = claims.signature === undefined ? nodes.get(entries?.at(-1) ?? '') : undefined
    if (tip !== undefined && isOfTrace(traceId, tip)) pending.push(tip)
  }
  const ours = new Set(pending)
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    for (const hash of parentHashes(node)) {
      const parent = byHash.get(hash)
      if (parent === undefined || ours.has(parent)) continue
      ours.add(parent)
      pending.push(parent)
    }
  }
  for (const [jws, node] of nodes) if (!ours.has(node)) nodes.delete(jws)
}

/** Of a passport only its strings. */
function parsePassportText(text: unknown, limits: Limits): readonly string[] | undefined {
  if (typeof text !== 'string' || text.length > limits.passportBytes || text.includes('{')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((jws) => typeof jws === 'string') ? value : undefined
  } catch {
    return undefined
  }
}

function missingIn(
  { nodes }: Collected,
  spans: readonly ExportedSpan[],
): Pick<LineageDraft, 'wanted' | 'claimed'> {
  const present = new Set<string>()
  for (const node of nodes.values()) if (node.source !== 'passport') present.add(node.parsed.hash)
  const wanted = new Set<string>()
  const claimed = new Set<string>()
  for (const node of nodes.values()) {
    if (node.source === 'passport') claimed.add(node.parsed.hash)
    for (const hash of parentHashes(node)) if (!present.has(hash)) wanted.add(hash)
  }
  for (const span of spans) {
    const tip = claimedTip(span)
    if (tip !== undefined && !present.has(tip)) claimed.add(tip)
  }
  return { wanted, claimed }
}

const NONE: ReadonlySet<string> = new Set()
const HASH = /^[0-9a-f]{64}$/

/** The hash of what a span claims to be its entry. */
export function claimedTip({ claims }: ExportedSpan): string | undefined {
  const { chainTip } = claims
  return typeof chainTip === 'string' && HASH.test(chainTip) ? chainTip : undefined
}

/** The hash of the last entry of a span's passport: what it claims to be its tip. */
export function passportTip({ claims }: ExportedSpan, limits: Limits): string | undefined {
  const last = parsePassportText(claims.passport, limits)?.at(-1)
  return last === undefined ? undefined : entryHash(last)
}
