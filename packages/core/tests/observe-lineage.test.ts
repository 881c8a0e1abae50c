import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { KestState } from '../src/context/state.js'
import { LABEL } from '../src/entry/entry.js'
import type { OperationOptions } from '../src/hook/operation-options.js'
import type { ListenerOptions } from '../src/ingress/listener-options.js'
import { FakeClock } from '../src/testing/fake-clock.js'
import { DAY_MS, id, READER, ROOTS, type Service, sends, service, step } from './support/services.js'

const { publicKey } = generateKeyPairSync('ed25519')
const START = Date.now()
const END = START + 30 * DAY_MS
const observing = (scope = 'all: true', end = END): string => `observe:
  - what: lineage
    scope: { ${scope} }
    reason: callers without Kest
    approver: security@kest.test
    expires: ${new Date(end).toISOString()}
`
const OBSERVING = ROOTS + observing()

/** What an operation could say to be more than it is. */
const RAISING: Partial<OperationOptions> = {
  origin: 'internal',
  trustOverride: 100,
  user: 'admin',
  agent: 'planner',
  sanitizer: true,
  removedTaints: ['pii'],
}

type Headers = Record<string, string>
const users = { origin: 'user_input', user: 'alice' } as const
const edited =
  (pattern: RegExp, by: string | ((found: string) => string)) =>
  ({ baggage = '' }: Headers): Headers => ({ baggage: baggage.replace(pattern, by as string) })

interface Case {
  /** What comes; `honest` is what an edge sends. */
  readonly send: (honest: Headers, clock: FakeClock) => Headers | Promise<Headers>
  readonly options?: ListenerOptions
  readonly code: string
}

const REFUSED: Readonly<Record<string, Case>> = {
  'no lineage': { send: () => ({}), code: 'ERR_KEST_LINEAGE_MISSING' },
  'an empty passport': {
    send: () => ({ baggage: 'kest.passport=%5B%5D' }),
    code: 'ERR_KEST_LINEAGE_MISSING',
  },
  'a tip without its passport': {
    send: () => ({ baggage: `kest.chain_tip=${'a'.repeat(64)}` }),
    code: 'ERR_KEST_TIP',
  },
  'a passport under another tip': {
    send: edited(/(?<=kest\.chain_tip=)\w+/, 'a'.repeat(64)),
    code: 'ERR_KEST_TIP',
  },
  'a signature that does not hold': {
    send: edited(/.(?=.{60}%22%5D)/, (letter) => (letter === 'x' ? 'y' : 'x')),
    code: 'ERR_KEST_SIGNATURE',
  },
  'lineage of whom nobody knows': {
    send: () => sends(service('stranger', ''), users),
    code: 'ERR_KEST_KEY_UNKNOWN',
  },
  'lineage that is too old': {
    send: (honest, clock) => {
      clock.advance(3_600_001)
      return honest
    },
    code: 'ERR_KEST_FRESHNESS',
  },
  'lineage of nobody who sends it': {
    send: edited(/kest\.hop=[^,]*,?/, ''),
    options: { binding: 'hop', audiences: [READER] },
    code: 'ERR_KEST_BINDING',
  },
  'a user that its lineage does not name': {
    send: edited(/kest\.user=alice/, 'kest.user=admin'),
    code: 'ERR_KEST_IDENTITY_CONFLICT',
  },
  'a claim check that names nothing': {
    send: () => ({
      baggage: `kest.claim_check=6f0f3f0e-8f4e-4c52-9d5d-6d3c1d6c2a11,kest.chain_tip=${'a'.repeat(64)}`,
    }),
    code: 'ERR_KEST_CLAIM_UNKNOWN',
  },
}

async function honest(clock: FakeClock): Promise<Headers> {
  return sends(service('edge', ROOTS, clock), users)
}

const cache = { get: () => null, setIfAbsent: () => true }

/** The same request to a service that enforces and to one that observes. */
async function both({ send, options = {} }: Case) {
  const clock = new FakeClock()
  const headers = await send(await honest(clock), clock)
  const receive = (deployment: string) => {
    const reader = service('reader', deployment, clock, { cache })
    const state = reader.kest.listener(options).receive({ headers: { ...headers } })
    return { reader, state }
  }
  return { enforcing: receive(ROOTS), observing: receive(OBSERVING) }
}

describe('a service that observes lineage', () => {
  it.each(Object.entries(REFUSED))(
    'K-OBSERVE lets in %s as what is worth nothing, and says why',
    async (_, one) => {
      const { enforcing, observing } = await both(one)
      await expect(enforcing.state).rejects.toMatchObject({ code: one.code, statusCode: 403 })
      const { reader } = observing
      const state = await observing.state
      expect(state).toMatchObject({ origin: 'kest.unproven', identity: null })
      expect(state.frame.lineage.length).toBe(0)
      expect(reader.logger.records.at(-1)).toMatchObject({
        level: 'warn',
        details: { code: one.code },
        message: 'inbound request would be refused, which is only observed (K-OBSERVE)',
      })

      const { entry } = await reader.kest.begin(step(RAISING), { state })
      expect(entry).toMatchObject({
        trustScore: 0,
        taints: ['kest.observed', 'kest.unproven'],
        identity: null,
      })
      expect(entry.entry).toMatchObject({
        parent_ids: ['0'],
        trust_score: 0,
        taints: ['kest.observed', 'kest.unproven'],
      })
      expect(entry.entry.labels).toMatchObject({
        [LABEL.observed]: `[{"code":"${one.code}","policy":null,"tier":"lineage"}]`,
      })
      expect(entry.entry.labels[LABEL.identity]).toBeUndefined()
      // Its policies know that it is unproven, and not that it was observed.
      expect(reader.engine.requests.at(-1)?.context).toMatchObject({
        trust_score: 0,
        subject: { taints: ['kest.unproven'], user: null },
        environment: { source_type: 'kest.unproven', is_root: true },
      })
    },
  )

  it.each<[string, Headers, string, ListenerOptions?]>([
    ['what is no passport', { baggage: 'kest.passport=%7B%7D' }, 'ERR_KEST_PASSPORT_MALFORMED'],
    ['what is no entry', { baggage: 'kest.passport=%5B%22a.b%22%5D' }, 'ERR_KEST_ENTRY_MALFORMED'],
    ['a member spelled otherwise', { baggage: 'KEST.passport=%5B%5D' }, 'ERR_KEST_BAGGAGE'],
    ['what exceeds a limit', { baggage: `kest.passport=${'a'.repeat(20_000)}` }, 'ERR_KEST_LIMIT'],
    [
      'a token that does not hold',
      { authorization: 'Bearer x.y.z' },
      'ERR_KEST_TOKEN',
      {
        token: {
          jwks: { keys: [publicKey.export({ format: 'jwk' })] },
          issuer: 'https://idp.test',
          audience: 'me',
        },
      },
    ],
  ])('K-OBSERVE refuses %s as ever', async (_, headers, code, options) => {
    const reader = service('reader', OBSERVING)
    await expect(reader.kest.extract(headers, options)).rejects.toMatchObject({ code })
    expect(reader.logger.records.at(-1)?.message).toBe('inbound request refused')
  })

  it('K-OBSERVE refuses as ever what cannot be decided', async () => {
    const headers = await honest(new FakeClock())
    const failing = { name: 'x', kind: 'keys', generation: 0, find: () => Promise.reject(new Error('down')) }
    const reader = service('reader', OBSERVING, new FakeClock(), { trust: failing as never })
    await expect(reader.kest.extract(headers)).rejects.toMatchObject({ statusCode: 503 })
    // Who it is itself is not known, so neither is which domain is its own.
    const identity = {
      getWorkloadId: () => {
        throw new Error('no agent')
      },
      current: () => Promise.reject(new Error('no agent')),
    }
    const nobody = service('reader', OBSERVING, new FakeClock(), { identity: identity as never })
    await expect(nobody.kest.extract(headers)).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY' })
  })

  it('K-OBSERVE keeps lineage of an unlisted root, as unlisted', async () => {
    const attack = await sends(service('hop2', ''), { origin: 'internal', user: 'admin', trustOverride: 100 })
    const refusing = `${ROOTS}rootsPolicy: refuse\n`
    for (const [deployment, options] of [
      [refusing, {}],
      [ROOTS, { semantics: 'enforce' }],
    ] as const) {
      const enforced = service('reader', deployment)
        .kest.listener(options)
        .receive({ headers: { ...attack } })
      await expect(enforced).rejects.toMatchObject({ code: 'ERR_KEST_ROOT' })
      const reader = service('reader', deployment + observing())
      const state = await reader.kest.listener(options).receive({ headers: { ...attack } })
      expect(state).toMatchObject({ origin: null, identity: null })
      const { entry } = await reader.kest.begin(step(RAISING), { state })
      expect(entry).toMatchObject({ trustScore: 0, taints: ['kest.observed', 'kest.unlisted-root'] })
      expect(entry.entry.parent_ids).toEqual([state.frame.lineage.tips[0]?.hash])
      expect(entry.entry.labels[LABEL.observed]).toBe(
        '[{"code":"ERR_KEST_ROOT","policy":null,"tier":"lineage"}]',
      )
    }
  })

  it('K-OBSERVE drops lineage of an unlisted root where more is wrong with it', async () => {
    const attack = await sends(service('hop2', ''), { origin: 'internal', user: 'admin' })
    const reader = service('reader', `${ROOTS}rootsPolicy: refuse\n${observing()}`)
    const baggage = `${attack['baggage']},kest.agent=planner`
    const state = await reader.kest.extract({ baggage })
    expect(state).toMatchObject({
      origin: 'kest.unproven',
      observed: [{ code: 'ERR_KEST_IDENTITY_CONFLICT', policy: null, tier: 'lineage' }],
    })
    expect(state.frame.lineage.length).toBe(0)
  })

  it('K-OBSERVE changes nothing for lineage that holds', async () => {
    const reader = service('reader', OBSERVING)
    const state = await reader.kest.extract(await honest(new FakeClock()))
    expect(state.observed).toBeUndefined()
    const { entry } = await reader.kest.begin(step(), { state })
    expect(entry).toMatchObject({ trustScore: 40, taints: [], identity: { user: 'alice' } })
    expect(entry.entry.labels[LABEL.observed]).toBeUndefined()
  })

  it('K-OBSERVE holds for the workload that is named, and for no other', async () => {
    const named = service('reader', ROOTS + observing(`workload: "${id('reader')}"`))
    expect(await named.kest.extract({})).toMatchObject({ origin: 'kest.unproven' })
    const other = service('hop2', ROOTS + observing(`workload: "${id('reader')}"`))
    await expect(other.kest.extract({})).rejects.toMatchObject({ code: 'ERR_KEST_LINEAGE_MISSING' })
  })

  it('K-OBSERVE is no option of code', () => {
    const { kest } = service('reader')
    expect(() => kest.listener({ observe: true } as ListenerOptions)).toThrow(/unknown option "observe"/)
  })

  it('K-OBSERVE resumes no passport that does not hold', async () => {
    const { kest } = service('reader', OBSERVING)
    await expect(kest.resume({ passport: [] }, {})).rejects.toMatchObject({
      code: 'ERR_KEST_LINEAGE_MISSING',
    })
  })

  it('K-OBSERVE begins nothing at an edge that takes lineage with more trust than it has where there is none', async () => {
    const partner = {
      origin: 'user_input',
      acceptLineage: true,
      binding: 'hop',
      audiences: [READER],
    } as const
    const reader = service('reader', OBSERVING)
    const state = await reader.kest.extract(
      edited(/kest\.hop=[^,]*,?/, '')(await honest(new FakeClock())),
      partner,
    )
    const { entry } = await reader.kest.begin(step(), { state })
    expect(entry).toMatchObject({ trustScore: 0, taints: ['kest.observed', 'kest.unproven'] })
  })

  it('K-OBSERVE is for the next service what it says, also to one that knows nothing of observing', async () => {
    const reader = service('reader', OBSERVING)
    const state = await reader.kest.extract({})
    const operation = await reader.kest.begin(step(), { state })
    const inside = await reader.kest.begin(step(RAISING), { state: operation.enter() })
    // What it calls within was not refused itself; that it hangs on what would have been stays.
    expect(inside.entry.entry.labels[LABEL.observed]).toBeUndefined()
    expect(inside.entry.taints).toEqual(['kest.observed', 'kest.unproven'])
    const headers = await reader.kest.run(inside.enter(), () => reader.kest.inject({} as Headers, READER))
    const next = service('hop2')
    const received = await next.kest.extract(headers)
    expect(received.frame.lineage.tips[0]).toMatchObject({
      trustScore: 0,
      taints: ['kest.observed', 'kest.unproven'],
      plain: { trustScore: 0 },
    })
    expect(next.warnings()).toEqual([])
    const removing = step({ removedTaints: ['pii'], sanitizer: true, trustOverride: 100 })
    const { entry } = await next.kest.begin(removing, { state: received })
    expect(entry).toMatchObject({ trustScore: 0, taints: ['kest.observed', 'kest.unproven'] })
  })
})

describe('the end of an observation', () => {
  const received = ({ kest }: Service): Promise<KestState> => kest.extract({})

  it('K-OBSERVE enforces from its end on, whether or not the file is touched, and for good', async () => {
    const clock = new FakeClock(START)
    const reader = service('reader', OBSERVING, clock)
    clock.advance(END - START - 1)
    expect(await received(reader)).toMatchObject({ origin: 'kest.unproven' })
    clock.advance(1)
    const refused = { code: 'ERR_KEST_LINEAGE_MISSING' }
    await expect(received(reader)).rejects.toMatchObject(refused)
    clock.advance(-DAY_MS)
    await expect(received(reader)).rejects.toMatchObject(refused)
  })

  it('K-OBSERVE enforces what had ended when the process started', async () => {
    const reader = service('reader', ROOTS + observing('all: true', START - 1))
    expect(reader.warnings()).toEqual([expect.stringMatching(/has expired: what it names is enforced/)])
    await expect(received(reader)).rejects.toMatchObject({ code: 'ERR_KEST_LINEAGE_MISSING' })
  })
})
