import { MockIdentityProvider } from '@kest/core/testing'
import { type EntryClaim, type MadeEntry, makeEntry } from '../../../audit/dist/testing/make-entry.js'
import { otlpLine, spanOf } from '../../../audit/dist/testing/make-span.js'

const NAMES = ['gateway', 'orders', 'payments'] as const
type Name = (typeof NAMES)[number]

const identities = new Map(NAMES.map((name) => [name, new MockIdentityProvider(name)]))

/** As `--keys` takes them. */
export const KEYS: Record<string, unknown[]> = Object.fromEntries(
  [...identities.values()].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]]),
)

/** An entry by one of the three, whom `KEYS` knows; or by somebody else. */
export function entryBy(
  name: Name | 'stranger',
  parents: readonly MadeEntry[],
  claim: EntryClaim = {},
): MadeEntry {
  const identity = name === 'stranger' ? new MockIdentityProvider(name) : identities.get(name)
  return makeEntry((identity as MockIdentityProvider).current(), parents, claim)
}

/** A request through three services. */
export function chain(): [MadeEntry, MadeEntry, MadeEntry] {
  const first = entryBy('gateway', [])
  const second = entryBy('orders', [first])
  return [first, second, entryBy('payments', [second])]
}

/** What an exporter writes. */
export function exported(...entries: readonly MadeEntry[]): string {
  return entries.map((made) => `${otlpLine('any', [spanOf(made)])}\n`).join('')
}
