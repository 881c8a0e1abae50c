import type { AboutRequest } from '../context/request-facts.js'
import type { ListenerDeps } from './listener.js'

/** K-EDGE: what was removed is counted, and its operator learns that it was there. */
export function reportStripped(
  removed: number,
  origin: string,
  about: AboutRequest | undefined,
  { refusals, onStripped }: Pick<ListenerDeps, 'refusals' | 'onStripped'>,
): void {
  onStripped?.(removed)
  const message = 'kest.* members were removed from a request at an edge (K-EDGE)'
  refusals.refused({ message }, () => ({ removed, origin, ...about?.() }))
}
