import assert from 'node:assert/strict'
import { type Answer, InboundWorld } from './inbound-world.js'

/** Gives a world to a test, and closes it. */
export async function within<W extends InboundWorld | { readonly world: InboundWorld }>(
  given: W,
  test: (given: W) => Promise<void>,
): Promise<void> {
  try {
    await test(given)
  } finally {
    await (given instanceof InboundWorld ? given : given.world).close()
  }
}

/** Refused with this status and code, and told nothing else. */
export function assertRefused({ status, head, body }: Answer, expected: number, code: string): void {
  assert.deepEqual([status, body.match(/ERR_KEST_[A-Z_]+/)?.[0]], [expected, code])
  const { title, ...rest } = JSON.parse(body)
  assert.deepEqual(rest, { type: `urn:kest:error:${code}`, status, code })
  assert.equal(typeof title, 'string')
  assert.match(head, /^content-type: application\/problem\+json$/m)
  assert.match(head, /^cache-control: no-store$/m)
  assert.doesNotMatch(body + head, /secret|spiffe|10\.0\.0\.7|trust_score/)
}

/** Neither an entry nor a handler. */
export function assertNothingDone({ signed, ran }: InboundWorld): void {
  assert.deepEqual([signed, ran], [0, 0])
}
