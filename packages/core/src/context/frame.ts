import { LABEL } from '../entry/entry.js'
import { Lineage } from '../passport/lineage.js'

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

  /** Joins the parent's frame, once. What this frame gains later stays with whoever still runs in it. */
  settle(): void {
    if (this.#settled) return
    this.#settled = true
    if (this.#parent !== null) this.#parent.lineage = this.#parent.lineage.join(this.lineage, this.#base)
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
