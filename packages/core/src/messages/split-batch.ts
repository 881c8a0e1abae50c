import { headerLimits, type Limits } from '../limits.js'
import { Lineage } from '../passport/lineage.js'
import type { VerifiedEntry } from '../passport/verified.js'
import type { Delivery } from './delivery.js'

/** Taints of one entry (K-EFF). */
const MAX_TAINTS = 256
/** Bytes of one parent in an entry: its hash, quotes and comma, in base64url. */
const PARENT_BYTES = 90
/** What follows, here and behind the next queue, needs room as well. */
const SHARE = 0.75

/** Deliveries that are handled at once, and their lineages as one. */
export interface JoinedDeliveries {
  readonly deliveries: readonly Delivery[]
  readonly lineage: Lineage
}

/**
 * Divides a batch into what one operation can be over (K-MESSAGE): of one place, with a lineage that leaves a quarter of K-LIMIT to
 * what follows. What has no claim checks to travel by is held to what fits a header. The order stays.
 */
export function splitBatch(
  deliveries: readonly Delivery[],
  limits: Limits,
  hasCache: boolean,
): readonly JoinedDeliveries[] {
  const bounds = hasCache ? limits : headerLimits(limits)
  const parts: Part[] = []
  for (const delivery of deliveries) {
    if (parts.at(-1)?.take(delivery) === true) continue
    const part = new Part(bounds)
    part.begin(delivery)
    parts.push(part)
  }
  return parts.map((part) => part.joined())
}

class Part {
  readonly #bounds: Limits
  readonly #deliveries: Delivery[] = []
  readonly #tips: VerifiedEntry[] = []
  readonly #entries = new Map<string, VerifiedEntry>()
  readonly #ids = new Set<string>()
  readonly #taints = new Set<string>()
  #bytes = 0

  constructor(bounds: Limits) {
    this.#bounds = bounds
  }

  /** The first, whatever it needs: what is too large for one operation is refused by that. */
  begin(delivery: Delivery): void {
    this.#add(delivery, delivery.state.frame.lineage.entries())
  }

  /** @returns whether there was room for it */
  take(delivery: Delivery): boolean {
    if (delivery.message.from !== this.#deliveries[0]?.message.from) return false
    const { lineage } = delivery.state.frame
    const added = lineage.entries().filter(({ hash }) => !this.#entries.has(hash))
    const taints = new Set([...this.#taints, ...lineage.tips.flatMap((tip) => tip.taints)])
    const bytes = this.#bytes + lengthOf(added)
    const { entries, entryBytes, passportBytes } = this.#bounds
    const fits =
      this.#entries.size + added.length <= entries * SHARE &&
      bytes <= passportBytes * SHARE &&
      (this.#tips.length + lineage.tips.length) * PARENT_BYTES <= entryBytes * SHARE &&
      taints.size <= MAX_TAINTS * SHARE &&
      // Anyone can make a twin of an entry, and in one passport there is none (K-LOWS, K-ONCE).
      !added.some(({ entry }) => this.#ids.has(entry.entry_id))
    if (fits) this.#add(delivery, added)
    return fits
  }

  joined(): JoinedDeliveries {
    return { deliveries: this.#deliveries, lineage: Lineage.of([...this.#entries.values()], this.#tips) }
  }

  #add(delivery: Delivery, added: readonly VerifiedEntry[]): void {
    const { tips } = delivery.state.frame.lineage
    this.#deliveries.push(delivery)
    this.#tips.push(...tips)
    for (const entry of added) {
      this.#entries.set(entry.hash, entry)
      this.#ids.add(entry.entry.entry_id)
    }
    for (const tip of tips) for (const taint of tip.taints) this.#taints.add(taint)
    this.#bytes += lengthOf(added)
  }
}

function lengthOf(entries: readonly VerifiedEntry[]): number {
  return entries.reduce((sum, { jws }) => sum + jws.length + 3, 0)
}
