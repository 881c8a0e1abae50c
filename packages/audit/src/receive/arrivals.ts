import { type Refusal, tooMuch, tooSlow } from './refusal.js'

/** How often bodies are looked at. */
const CHECK_MS = 500
/** How long a body may take in any case, as long as all have the time. */
const GRACE_MS = 5_000
/** Bytes that must have come in each second after that. */
const LEAST_RATE = 4_096
/** For how long one must have been silent to make room for others. */
const SILENT_MS = 1_000

/** A body on its way. */
export interface Arrival {
  /** So many bytes more have come. @throws {Refusal} 503 when there is no room for them */
  grow(bytes: number): void
  /** It has come, or never will. Idempotent. */
  end(): void
}

interface Body {
  readonly since: number
  readonly cut: (refusal: Refusal) => void
  heardAt: number
  bytes: number
}

/**
 * The bodies that have not come whole. What is bounded is what they take, their bytes: a sender who sends nothing takes none, and does not
 * keep others out. Where there is no room, whoever has been silent for longest makes some.
 */
export class Arrivals {
  readonly #maxBytes: number
  readonly #timeoutMs: number
  readonly #bodies = new Set<Body>()
  #bytes = 0
  #timer: NodeJS.Timeout | undefined

  constructor(maxBytes: number, timeoutMs: number) {
    this.#maxBytes = maxBytes
    this.#timeoutMs = timeoutMs
  }

  /** @param cut ends it, for a reason that its sender is told */
  begin(cut: (refusal: Refusal) => void): Arrival {
    const now = performance.now()
    const body: Body = { since: now, heardAt: now, bytes: 0, cut }
    this.#bodies.add(body)
    this.#timer ??= setInterval(() => this.#check(), Math.min(CHECK_MS, this.#timeoutMs)).unref()
    return { grow: (bytes) => this.#grow(body, bytes), end: () => this.#end(body) }
  }

  #grow(body: Body, bytes: number): void {
    const now = performance.now()
    while (this.#bytes + bytes > this.#maxBytes) {
      const silent = this.#longestSilent(body)
      if (silent === undefined || now - silent.heardAt < SILENT_MS) throw tooMuch()
      this.#end(silent)
      silent.cut(tooMuch())
    }
    body.heardAt = now
    body.bytes += bytes
    this.#bytes += bytes
  }

  /** Of those that have sent something. */
  #longestSilent(except: Body): Body | undefined {
    let found: Body | undefined
    for (const body of this.#bodies) {
      if (body === except || body.bytes === 0) continue
      if (found === undefined || body.heardAt < found.heardAt) found = body
    }
    return found
  }

  #end(body: Body): void {
    if (!this.#bodies.delete(body)) return
    this.#bytes -= body.bytes
    if (this.#bodies.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #check(): void {
    const now = performance.now()
    for (const body of [...this.#bodies]) {
      const ms = now - body.since
      const least = ((ms - GRACE_MS) / 1_000) * LEAST_RATE
      if (ms < this.#timeoutMs && body.bytes >= least) continue
      this.#end(body)
      body.cut(tooSlow())
    }
  }
}
