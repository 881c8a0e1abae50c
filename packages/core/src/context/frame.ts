import { LABEL } from '../entry/entry.js'
import { Lineage } from '../passport/lineage.js'
import { type Followed, HeldReceipts } from '../receipts/held-receipts.js'

const NOTHING: readonly never[] = Object.freeze([])

/**
 * What has happened so far, from where one stands (K-FLOW). A request has a frame, and so has each invocation of a
 * hook: a copy of its parent's. When the invocation settles, what it gained joins the parent's frame.
 */
export class Frame {
  lineage: Lineage
  readonly #base: Lineage
  readonly #parent: Frame | null
  #traceId: string | undefined
  #settled = false
  #receipts: HeldReceipts | undefined
  /** What its first entry has taken over from receipts of the parent's. */
  #followed: readonly Followed[] = NOTHING

  constructor(lineage: Lineage = Lineage.EMPTY, parent: Frame | null = null) {
    this.lineage = lineage
    this.#base = lineage
    this.#parent = parent
  }

  fork(): Frame {
    return new Frame(this.lineage, this)
  }

  /** What the request has brought, before anything happened here. */
  get brought(): Lineage {
    return this.#parent?.brought ?? this.#base
  }

  /** Receipts of what was called from here (K-RECEIPT). They are no lineage. */
  get receipts(): HeldReceipts {
    this.#receipts ??= new HeldReceipts()
    return this.#receipts
  }

  /** Where what comes now belongs: what has settled has no further entries. */
  get open(): Frame {
    return this.#settled && this.#parent !== null ? this.#parent.open : this
  }

  /** Receipts for one entry to name. */
  takeReceipts(max: number): readonly string[] {
    return this.#receipts?.take(max) ?? NOTHING
  }

  /** What entries that begin here take over from receipts. */
  get followed(): readonly Followed[] {
    return this.#receipts?.followed ?? NOTHING
  }

  /** The entry of this frame has taken these over: when it joins the parent's lineage, what follows there inherits them. */
  follows(followed: readonly Followed[]): void {
    this.#followed = followed
  }

  /** Joins the parent's frame, once. What this frame gains later stays with whoever still runs in it. */
  settle(): void {
    if (this.#settled) return
    this.#settled = true
    if (this.#parent === null) return
    this.#parent.lineage = this.#parent.lineage.join(this.lineage, this.#base)
    if (this.#followed.length > 0) this.#parent.receipts.joined(this.#followed)
    if (this.followed.length > 0) this.#parent.receipts.follow(this.followed)
  }

  /**
   * The trace id of the passport (K-TRACE): what its entries say, else what `draw` gives, once for all frames of a
   * request, so that concurrent roots agree.
   */
  traceId(draw: () => string): string {
    if (this.#parent !== null) return this.#parent.traceId(draw)
    this.#traceId ??= this.#base.find((entry) => entry.entry.labels[LABEL.traceId]) ?? draw()
    return this.#traceId
  }
}
