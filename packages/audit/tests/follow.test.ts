import { createKeySource } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'
import { describe, expect, it } from 'vitest'
import { type Followed, type FollowedBatch, type FollowedVerdict, TraceFollower } from '../src/index.js'
import { readOtlp } from '../src/receive/read-otlp.js'
import { type MadeEntry, makeEntry } from '../src/testing/make-entry.js'
import { otlpLine, spanOf } from '../src/testing/make-span.js'

const identity = new MockIdentityProvider('orders')
const trust = createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })
const settling = { settleMs: 1, maxAgeMs: 1 }

function batchOf(entries: readonly MadeEntry[]): FollowedBatch {
  const bytes = Buffer.from(
    otlpLine(
      'any',
      entries.map((made) => spanOf(made)),
    ),
  )
  const batch = readOtlp({ encoding: 'json', bytes, place: { file: 'a', line: 1 }, receivedAt: null })
  return { ...batch, atEnd: false }
}

const END: FollowedBatch = { spans: [], others: 0, findings: [], bytes: 0, atEnd: true }

/** Batches, and after each as many looks as it takes until all is judged that has settled. */
async function* inTurn(
  batches: readonly FollowedBatch[],
  follower: TraceFollower,
): AsyncGenerator<FollowedBatch> {
  for (const batch of batches) {
    const before = follower.counts.verdicts
    yield batch
    yield END
    while (follower.counts.verdicts === before) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      yield END
    }
  }
}

async function verdictsOf(
  batches: readonly (readonly MadeEntry[])[],
  options = {},
): Promise<FollowedVerdict[]> {
  using follower = new TraceFollower({ trust, settling, ...options })
  const all: Followed[] = []
  for await (const one of follower.follow(inTurn(batches.map(batchOf), follower))) all.push(one)
  return all.flatMap(({ verdict }) => verdict ?? [])
}

const entry = (parents: readonly MadeEntry[], claim = {}): MadeEntry =>
  makeEntry(identity.current(), parents, claim)

describe('traces that are followed', () => {
  it('K-FLEET of a trace with more spans than are judged, those are that came first, and it stays broken', async () => {
    const root = entry([])
    const forged = { ...root, jws: `${root.jws.slice(0, -6)}AAAAAA` }
    const traceId = root.entry.labels['trace_id']
    const other = (): MadeEntry => entry([], { labels: { trace_id: traceId } })
    const verdicts = await verdictsOf([[forged], [other(), other(), other()]], { maxTraceSpans: 2 })
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['broken', 'broken'])
    expect(verdicts[1]?.findings.map(({ code }) => code)).toContain('limit')
    expect(verdicts[1]?.entries.some(({ status }) => status === 'failed')).toBe(true)
  })

  it('K-FLEET an entry of another trace that is built on is found, also when it comes later', async () => {
    const before = entry([])
    const after = entry([before], { labels: { trace_id: 'ab'.repeat(16) } })
    const verdicts = await verdictsOf([[after], [before]])
    const ofAfter = verdicts.filter(({ trace_id }) => trace_id === 'ab'.repeat(16))
    expect(ofAfter.map(({ verdict }) => verdict)).toEqual(['incomplete', 'verified'])
    expect(ofAfter[1]?.fleet.replaces?.verdict).toBe('incomplete')
  })

  it('K-FLEET each judgement of a trace has the trust that is in force', async () => {
    const none = createKeySource({})
    const answers = [none, none, trust, none]
    const traceId = 'cd'.repeat(16)
    const other = (): MadeEntry => entry([], { labels: { trace_id: traceId } })
    // The first is asked for by the options.
    const options = { trust: () => answers.shift() ?? none }
    const verdicts = await verdictsOf([[other()], [other()], [other()]], options)
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['broken', 'verified', 'broken'])
  })

  it('entries that name no trace are judged by their links', async () => {
    const first = entry([], { labels: { trace_id: undefined } })
    const second = entry([first], { labels: { trace_id: undefined } })
    const verdicts = await verdictsOf([[first, second, entry([], { labels: { trace_id: undefined } })]])
    expect(verdicts.map(({ trace_id, entries }) => [trace_id, entries.length])).toEqual(
      expect.arrayContaining([
        [null, 2],
        [null, 1],
      ]),
    )
  })
})
