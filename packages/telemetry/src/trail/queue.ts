import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import type { Waiting } from './waiting.js'

/**
 * Spans that wait for export, those under way included, in the order in which they ended. Bounded: what is in it and
 * what is reserved never exceed its capacity.
 */
export class SpanQueue {
  readonly capacity: number
  #spans: ReadableSpan[] = []
  #reserved = 0
  /** Number of the span that came last, counted from 1. */
  #last = 0
  /** Both in the order in which they came, which is the order of numbers. */
  readonly #forRoom = new Set<Waiting>()
  readonly #forSpans = new Map<Waiting, number>()

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.#spans.length
  }

  get last(): number {
    return this.#last
  }

  /** The number of the span that came last, if that is its id. */
  numberOf(spanId: string | undefined): number | null {
    return spanId !== undefined && this.#spans.at(-1)?.spanContext().spanId === spanId ? this.#last : null
  }

  /**
   * What is no evidence takes no room that is reserved, and no more than half of all: whoever sends requests that are
   * denied shall not push out the records of those that were not.
   *
   * @param evidence whether it is the record of an operation
   * @returns whether there was room
   */
  push(span: ReadableSpan, evidence: boolean): boolean {
    const room = evidence ? this.capacity - this.size : (this.capacity >> 1) - this.size - this.#reserved
    if (room <= 0) return false
    this.#spans.push(span)
    this.#last += 1
    return true
  }

  /** Room for one span, unless there is none, or others wait for it. */
  reserve(): boolean {
    if (this.#forRoom.size > 0 || this.#room <= 0) return false
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

  /** Who has given up is told nothing. */
  forget(waiting: Waiting): void {
    this.#forRoom.delete(waiting)
    this.#forSpans.delete(waiting)
  }

  first(count: number): readonly ReadableSpan[] {
    return this.#spans.slice(0, count)
  }

  /** The first spans have been exported; with an error, they are lost. */
  leave(count: number, error?: Error): void {
    this.#spans = this.#spans.slice(count)
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

  get #room(): number {
    return this.capacity - this.size - this.#reserved
  }

  #grantRoom(): void {
    for (const waiting of this.#forRoom) {
      if (this.#room <= 0) break
      this.#forRoom.delete(waiting)
      this.#reserved += 1
      waiting.settle()
    }
  }
}
