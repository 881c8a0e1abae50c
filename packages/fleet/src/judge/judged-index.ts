import { randomInt } from 'node:crypto'

const WORDS = 4
const INITIAL = 1_024
/** Of slots that may be taken before there are twice as many. */
const LOAD = 0.7
const TRACE_ID = /^[0-9a-f]{32}$/

/** What is known of a trace that was judged. */
export interface Judged {
  /** Where its last verdict is. */
  readonly verdict: number
  /** All of its spans up to this offset are in that verdict; `Infinity`: no more of them are taken. */
  readonly covered: number
}

/**
 * Which traces were judged, by their id: 48 bytes for each, or less. Their verdicts lie in the log; what is here says where, and which spans
 * need not be read again.
 */
export class JudgedIndex {
  #ids = new Uint32Array(INITIAL * WORDS)
  #verdicts = new Float64Array(INITIAL).fill(-1)
  #covered = new Float64Array(INITIAL)
  #size = 0

  get size(): number {
    return this.#size
  }

  get(traceId: string): Judged | undefined {
    const id = wordsOf(traceId)
    const at = id === null ? -1 : this.#find(id)
    if (at === -1 || this.#verdicts[at] === -1) return undefined
    return { verdict: this.#verdicts[at] as number, covered: this.#covered[at] as number }
  }

  /** What covers less than what is known is older, whenever it was written. */
  set(traceId: string, { verdict, covered }: Judged): void {
    const id = wordsOf(traceId)
    if (id === null) return
    if (this.#size + 1 > LOAD * this.#verdicts.length) this.#grow()
    const at = this.#find(id)
    if (this.#verdicts[at] === -1) {
      this.#ids.set(id, at * WORDS)
      this.#size++
    } else if ((this.#covered[at] as number) > covered) return
    this.#verdicts[at] = verdict
    this.#covered[at] = covered
  }

  /** Where it is, or would be. */
  #find(id: Uint32Array): number {
    const mask = this.#verdicts.length - 1
    for (let at = slotOf(id) & mask; ; at = (at + 1) & mask) {
      if (this.#verdicts[at] === -1) return at
      let same = true
      for (let word = 0; word < WORDS; word++) same &&= this.#ids[at * WORDS + word] === id[word]
      if (same) return at
    }
  }

  #grow(): void {
    const [ids, verdicts, covered] = [this.#ids, this.#verdicts, this.#covered]
    this.#ids = new Uint32Array(ids.length * 2)
    this.#verdicts = new Float64Array(verdicts.length * 2).fill(-1)
    this.#covered = new Float64Array(covered.length * 2)
    for (const [from, verdict] of verdicts.entries()) {
      if (verdict === -1) continue
      const id = ids.subarray(from * WORDS, (from + 1) * WORDS)
      const at = this.#find(id)
      this.#ids.set(id, at * WORDS)
      this.#verdicts[at] = verdict
      this.#covered[at] = covered[from] as number
    }
  }
}

function wordsOf(traceId: string): Uint32Array | null {
  if (!TRACE_ID.test(traceId)) return null
  return Uint32Array.from({ length: WORDS }, (_, n) => Number.parseInt(traceId.slice(8 * n, 8 * n + 8), 16))
}

/** Strangers choose ids: a seed of this process keeps them from choosing where they fall. */
const SEED = randomInt(2 ** 32)

function slotOf(id: Uint32Array): number {
  let hash = SEED
  for (const word of id) {
    hash = Math.imul(hash ^ word, 0x85ebca6b)
    hash ^= hash >>> 13
    hash = Math.imul(hash, 0xc2b2ae35)
    hash ^= hash >>> 16
  }
  return hash >>> 0
}
