import type { IncomingMessage } from 'node:http'
import { createPrivateSlot } from '@kest/core'
import type { Next } from './middleware.js'

interface Undecided {
  /** How much is being decided. */
  pending: number
  /** What Express would have run meanwhile. */
  readonly kept: (() => unknown)[]
}

const all = createPrivateSlot<IncomingMessage, Undecided>()

/** From here on, until {@link goOn} or {@link giveUp}, what stands behind waits. */
export function beginDeciding(req: IncomingMessage): void {
  const undecided = all.get(req) ?? { pending: 0, kept: [] }
  undecided.pending++
  all.set(req, undecided)
}

/**
 * Keeps what Express would run of a request that is being decided. A middleware that calls `next()` twice sends it on to what
 * stands behind a protection that has not answered yet.
 * @returns whether it was kept
 */
export function keepBack(req: IncomingMessage, run: () => unknown): boolean {
  const undecided = all.get(req)
  if (undecided === undefined || undecided.pending === 0) return false
  undecided.kept.push(run)
  return true
}

/** The request goes on: to what was kept, where Express is past that already, or else by `next`. */
export function goOn(req: IncomingMessage, next: Next): void {
  const kept = decided(req)
  if (kept.length === 0) next()
  else for (const run of kept) run()
}

/** The request does not go on: what was kept does not run. */
export function giveUp(req: IncomingMessage): void {
  decided(req)
}

function decided(req: IncomingMessage): readonly (() => unknown)[] {
  const undecided = all.get(req)
  if (undecided === undefined || undecided.pending === 0) return []
  undecided.pending--
  return undecided.pending > 0 ? [] : undecided.kept.splice(0)
}
