import type { ReadableSpan } from '../spans/readable-span.js'
import { spanBytes } from '../spans/span-bytes.js'
import type { Waiting } from './waiting.js'

/** How much there is room for. */
export interface QueueBounds {
  readonly spans: number
  readonly bytes: number
}

/** What a span is the record of: an operation, a refusal that is signed, or one that is only reported. */
export type SpanWorth = 'entry' | 'signed-denial' | 'report'

/** Of all room, one in so many parts at most. */
const PARTS: Readonly<Record<Exclude<SpanWorth, 'entry'>, number>> = { 'signed-denial': 2, report: 4 }

/**
 * Spans that wait for export, those under way included, in the order in which they ended. Bounded in number: what is in
 * it and what is reserved never exceed its capacity. Bounded in bytes: beyond them there is no room, and nothing can be
 * reserved; what was reserved before is taken all the same, as its size was not known then, and so is a single span that
 * finds the queue empty.
 */
export class SpanQueue {
  readonly capacity: number
  readonly capacityBytes: number
  #spans: ReadableSpan[] = []
  /** Of each span, in the same order. */
  #sizes: number[] = []
  #bytes = 0
  #reserved = 0
  /** Number of the span that came last, counted from 1. */
  #last = 0
  /** Both in the order in which they came, which is the order of numbers. */
  readonly #forRoom = new Set<Waiting>()
  readonly #forSpans = new Map<Waiting, number>()

  constructor(bounds: QueueBounds) {
    this.capacity = bounds.spans
    this.capacityBytes = bounds.bytes
  }

  get size(): number {
    return this.#spans.length
  }

  get bytes(): number {
    return this.#bytes
  }

  get last(): number {
    return this.#last
  }

  /** The number of the span that came last, if that is its id. */
  numberOf(spanId: string | undefined): number | null {
    return spanId !== undefined && this.#spans.at(-1)?.spanContext().spanId === spanId ? this.#last : null
  }

  /**
   * Denials take no room that is reserved, and no more than half of all: whoever sends requests that are denied shall not push out
   * the records of those that were not. Those that are not signed, of which there may be any number, take no more than a quarter, and
   * push out none that are.
   *
   * @returns whether there was room
   */
  push(span: ReadableSpan, worth: SpanWorth): boolean {
    const bytes = spanBytes(span)
    if (!(worth === 'entry' ? this.#hasRoom(bytes) : this.#hasRoomForDenial(bytes, PARTS[worth])))
      return false
    this.#spans.push(span)
    this.#sizes.push(bytes)
    this.#bytes += bytes
    this.#last += 1
    return true
  }

  /** Room for one span, unless there is none, or others wait for it. */
  reserve(): boolean {
    if (this.#forRoom.size > 0 || !this.#canReserve()) return false
    this.#reserved += 1
    return true
  }

  /** In its turn, room is reserved for who waits, and he is told. */
  awaitRoom(waiting: Waiting): void {
    this.#forRoom.add(waiting)
  }

  release(): void {
    this.#reserved -= 1
    this.#grantRoom()
  }

  /** Who waits is told when the span with this number has left. */
  awaitSpan(number: number, waiting: Waiting): void {
    if (number <= this.#left) waiting.settle()
    else this.#forSpans.set(waiting, number)
  }

  /** Whether somebody waits for a span to leave, or for room. */
  get isAwaited(): boolean {
    return this.#forSpans.size > 0 || this.#forRoom.size > 0
  }

  /** Who has given up is told nothing. */
  forget(waiting: Waiting): void {
    this.#forRoom.delete(waiting)
    this.#forSpans.delete(waiting)
  }

  /** The first spans within both bounds; one at least, if there is one. */
  first(bounds: QueueBounds): readonly ReadableSpan[] {
    let count = 0
    for (let bytes = 0; count < Math.min(bounds.spans, this.size); count += 1) {
      bytes += this.#sizes[count] as number
      if (count > 0 && bytes > bounds.bytes) break
    }
    return this.#spans.slice(0, count)
  }

  /** Whether there is at least as much as a batch may hold. */
  fills(bounds: QueueBounds): boolean {
    return this.size >= bounds.spans || this.#bytes >= bounds.bytes
  }

  /** The first spans have been exported; with an error, they are lost. */
  leave(count: number, error?: Error): void {
    for (let n = 0; n < Math.min(count, this.size); n += 1) this.#bytes -= this.#sizes[n] as number
    this.#spans = this.#spans.slice(count)
    this.#sizes = this.#sizes.slice(count)
    for (const [waiting, number] of this.#forSpans) {
      if (number > this.#left) break
      this.#forSpans.delete(waiting)
      waiting.settle(error)
    }
    this.#grantRoom()
  }

  /** There will be no more room. */
  close(error: Error): void {
    for (const waiting of this.#forRoom) waiting.settle(error)
    this.#forRoom.clear()
  }

  /** Number of the span that left last. */
  get #left(): number {
    return this.#last - this.size
  }

  #hasRoom(bytes: number): boolean {
    if (this.size >= this.capacity) return false
    return this.#reserved > 0 || this.size === 0 || this.#bytes + bytes <= this.capacityBytes
  }

  #hasRoomForDenial(bytes: number, parts: number): boolean {
    const enough = this.size + this.#reserved < Math.floor(this.capacity / parts)
    return enough && this.#bytes + bytes <= this.capacityBytes / parts
  }

  #canReserve(): boolean {
    return this.size + this.#reserved < this.capacity && this.#bytes < this.capacityBytes
  }

  #grantRoom(): void {
    for (const waiting of this.#forRoom) {
      if (!this.#canReserve()) break
      this.#forRoom.delete(waiting)
      this.#reserved += 1
      waiting.settle()
    }
  }
}
