import { renameSync, writeFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { createKest } from '../src/config/kest.js'
import { LABEL } from '../src/entry/entry.js'
import type { OperationOptions } from '../src/hook/operation-options.js'
import type { ListenerOptions } from '../src/ingress/listener-options.js'
import { DeploymentFile } from '../src/policy/deployment-file.js'
import { FakeClock } from '../src/testing/fake-clock.js'
import { RecordingLogger } from '../src/testing/recording-logger.js'
import { DAY_MS, id, READER, ROOTS, type Service, sends, service, step } from './support/services.js'

/** Whoever is malicious does not end his states. */
const ENDLESS = { maxStateMs: 9 * DAY_MS }

const users = { origin: 'user_input', user: 'alice' } as const

/** Every way in which a receiver knows its sender, and from whom the request comes. */
const BINDINGS: readonly (readonly [string, ListenerOptions])[] = [
  ['none', {}],
  ['hop', { binding: 'hop', audiences: [READER] }],
  ['mtls', { binding: 'mtls' }],
]
const from = (name: string) => ({ peer: { spiffeId: id(name) } })

describe.each(BINDINGS)('a malicious hop, binding %s', (_, options) => {
  const receive = async (reader: Service, headers: Record<string, string>, more: ListenerOptions = {}) =>
    reader.kest.listener({ ...options, ...more }).receive({ headers: { ...headers }, ...from('hop2') })

  it('K-ROOTS gains nothing by dropping the lineage it got for a root of its own', async () => {
    const attack = await sends(service('hop2', ''), { origin: 'internal', user: 'admin', trustOverride: 100 })
    const reader = service('reader')
    const state = await receive(reader, attack)
    const [tip] = state.frame.lineage.tips
    expect(tip).toMatchObject({ trustScore: 0, taints: ['kest.unlisted-root'], identity: null })
    expect(state.identity).toBeNull()
    expect(reader.warnings().at(-1)).toMatch(/claims more than it has/)

    // Its policies see that, and nothing that it does itself raises it again.
    const raising = await reader.kest.begin(step({ trustOverride: 100 }), { state })
    expect(reader.engine.requests.at(-1)?.context).toMatchObject({
      trust_score: 0,
      subject: { user: null, identity_by: null, trust_score: 0, taints: ['kest.unlisted-root'] },
    })
    expect(raising.entry.entry).toMatchObject({ trust_score: 0, taints: ['kest.unlisted-root'] })
  })

  it('K-ROOTS is refused with such a root where the deployment or the listener says so', async () => {
    const attack = await sends(service('hop2', ''), { origin: 'internal' })
    const refused = { code: 'ERR_KEST_ROOT', statusCode: 403, index: 0 }
    const strict = service('reader', `${ROOTS}rootsPolicy: refuse\n`)
    await expect(receive(strict, attack)).rejects.toMatchObject(refused)
    const enforcing = receive(service('reader'), attack, { semantics: 'enforce' })
    await expect(enforcing).rejects.toMatchObject(refused)
  })

  it('K-SWITCH acts as nobody where it signs another user into its entry', async () => {
    const edge = await sends(service('edge'), users)
    const hop2 = service('hop2')
    const state = await hop2.kest.extract(edge)
    expect(state.identity).toMatchObject({ context: { user: 'alice' }, by: id('edge') })
    const attack = await sends(hop2, { user: 'admin' }, state)
    const reader = service('reader')
    const seen = await receive(reader, attack)
    expect(seen.identity).toBeNull()
    expect(seen.frame.lineage.tips[0]).toMatchObject({ trustScore: 40, taints: ['kest.identity-switched'] })
    expect(reader.logger.records.at(-1)?.details).toMatchObject({ findings: [{ kind: 'identity-switched' }] })
    const refused = { code: 'ERR_KEST_IDENTITY_CONFLICT', statusCode: 403, index: 1 }
    await expect(receive(service('reader'), attack, { semantics: 'enforce' })).rejects.toMatchObject(refused)
    const trusting = await receive(service('reader'), attack, { identityAuthorities: [id('hop2')] })
    expect(trusting.identity).toMatchObject({ context: { user: 'admin' }, by: id('hop2') })
  })

  it('K-FRESH cannot keep an old lineage alive under fresh entries', async () => {
    const clock = new FakeClock()
    const edge = await sends(service('edge', ROOTS, clock), users)
    const hop2 = service('hop2', ROOTS, clock)
    const state = await hop2.kest.extract(edge, ENDLESS)
    clock.advance(3_600_000 + 1)
    const kept = await sends(hop2, {}, state)
    const reader = service('reader', ROOTS, clock)
    expect((await receive(reader, kept)).identity).toMatchObject({ context: { user: 'alice' } })
    const stale = { code: 'ERR_KEST_FRESHNESS', statusCode: 403, index: 0 }
    await expect(receive(reader, kept, { maxLineageAgeMs: 3_600_000 })).rejects.toMatchObject(stale)
    clock.advance(DAY_MS - 3_600_000)
    await expect(receive(reader, await sends(hop2, {}, state))).rejects.toMatchObject(stale)
  })
})

describe('a process of its own', () => {
  it('K-ROOTS judges its own roots by its own list', async () => {
    const hop2 = service('hop2')
    const operation = await hop2.kest.begin(step({ origin: 'internal', user: 'bob' }))
    expect(operation.entry).toMatchObject({ trustScore: 0, taints: ['kest.unlisted-root'], identity: null })
    expect(hop2.engine.requests.at(-1)?.context.subject).toMatchObject({ user: null, trust_score: 0 })
    const edge = service('edge')
    const root = await edge.kest.begin(step({ origin: 'internal', user: 'bob' }))
    expect(root.entry).toMatchObject({ trustScore: 40, taints: [], identity: { user: 'bob' } })
    // What it claims is for others to lower.
    expect(root.entry.entry).toMatchObject({ trust_score: 100, taints: [] })
    const child = await edge.kest.begin(step(), { state: root.enter() })
    expect(child.entry.entry).toMatchObject({ trust_score: 40 })
  })

  it('K-ROOTS begins nothing where unlisted roots are refused', async () => {
    const hop2 = service('hop2', `${ROOTS}rootsPolicy: refuse\n`)
    const begun = hop2.kest.begin(step({ origin: 'internal' }))
    await expect(begun).rejects.toMatchObject({ code: 'ERR_KEST_ROOT', statusCode: 403 })
    await expect(
      service('edge', `${ROOTS}rootsPolicy: refuse\n`).kest.begin(step(users)),
    ).resolves.toBeDefined()
  })

  it('K-SWITCH is its own authority: its token and its calls say who acts in it', async () => {
    const hop2 = service('hop2')
    const state = await hop2.kest.extract(await sends(service('edge'), users))
    const operation = await hop2.kest.begin(step({ agent: 'planner' }), { state })
    const who = { user: 'alice', agent: 'planner', task: null }
    expect(operation.entry).toMatchObject({ identity: who, identityBy: id('hop2'), taints: [] })
    expect(hop2.engine.requests.at(-1)?.context.subject).toMatchObject({ ...who, identity_by: id('hop2') })
    // Here the call has stated a part, and inherited the other: united, that binds nobody else.
    expect(operation.entry.entry.labels[LABEL.identityStated]).toBeUndefined()
  })

  it('K-SWITCH marks as stated what the call states, and never what is inherited or ambient', async () => {
    const edge = service('edge')
    const root = await edge.kest.begin(step(users))
    expect(root.entry.entry.labels[LABEL.identityStated]).toBe('true')
    const child = await edge.kest.begin(step(), { state: root.enter() })
    expect(child.entry.entry.labels).toMatchObject({ [LABEL.identity]: expect.stringContaining('alice') })
    expect(child.entry.entry.labels[LABEL.identityStated]).toBeUndefined()
  })
})

describe('what an operator is told', () => {
  it('K-ROOTS warns at start, once, where lineage is read and no list says who may begin it', () => {
    const reader = service('reader', '')
    expect(reader.warnings()).toEqual([])
    reader.kest.listener()
    reader.kest.listener()
    expect(reader.warnings()).toEqual([expect.stringMatching(/^NO LIST OF ROOTS/)])
    const listed = service('reader')
    listed.kest.listener()
    expect(listed.warnings()).toEqual([])
    const edge = service('edge', '')
    edge.kest.listener({ origin: 'user_input' })
    expect(edge.warnings()).toEqual([])
  })

  it('K-ROOTS warns at start who makes roots and is not on its own list', async () => {
    const hop2 = service('hop2')
    hop2.kest.listener({ origin: 'user_input' })
    const unlisted = expect.stringMatching(/begins lineage and is not among the "roots"/)
    expect(hop2.warnings()).toEqual([unlisted])
    await hop2.kest.begin(step({ origin: 'internal' }))
    expect(hop2.warnings()).toEqual([unlisted])
    const jobs = service('hop2')
    await jobs.kest.begin(step({ origin: 'internal' }))
    expect(jobs.warnings()).toEqual([unlisted])
    const edge = service('edge')
    edge.kest.listener({ origin: 'user_input' })
    expect(edge.warnings()).toEqual([])
  })

  it('K-ROOTS refuses mode tip beside a list', () => {
    const { kest } = service('reader')
    expect(() => kest.listener({ mode: 'tip' })).toThrow(/mode: "tip" does not prove who began/)
    expect(service('reader', '').kest.listener({ mode: 'tip' })).toBeDefined()
  })
})

describe('a list that changes with the file', () => {
  it('K-ROOTS holds from the reload on, also in mode tip, where it proves no root', async () => {
    const headers = await sends(service('edge'), users)
    const reader = service('reader', 'policies: {}\n')
    const [full, tip] = [reader.kest.listener(), reader.kest.listener({ mode: 'tip' })]
    const trustIn = async (listener: typeof full) => {
      const { frame } = await listener.receive({ headers: { ...headers } })
      return frame.lineage.tips[0]?.trustScore
    }
    expect(await trustIn(full)).toBe(40)
    writeFileSync(`${reader.file}.new`, ROOTS.replace('40', '7'))
    renameSync(`${reader.file}.new`, reader.file)
    await vi.waitFor(() => expect(reader.logger.records.at(-1)?.message).toMatch(/loaded again/), 60_000)
    expect(reader.logger.records.at(-1)?.details['roots']).toMatchObject([{ ceiling: 7, identity: true }])
    expect(await trustIn(full)).toBe(7)
    // Its tip is its root, and is proven.
    expect(await trustIn(tip)).toBe(7)
    const hop2 = service('hop2', '')
    const longer = await sends(hop2, {}, await hop2.kest.extract(headers))
    const { frame } = await tip.receive({ headers: { ...longer } })
    expect(frame.lineage.tips[0]).toMatchObject({ trustScore: 0, taints: ['kest.unlisted-root'] })
  })

  it('K-ROOTS keeps the list in force where the new one is wrong', () => {
    const { file } = service('reader')
    writeFileSync(file, ROOTS.replace('40', '400'))
    const read = () =>
      new DeploymentFile(file, {
        logger: new RecordingLogger(),
        metrics: { reloaded: () => {} },
        clock: new FakeClock(),
      })
    expect(read).toThrow(/kest\.yaml: roots\[0\]\.ceiling: expected an integer from 0 to 100/)
  })
})

describe('work that is taken up later', () => {
  it('K-FRESH resume has an age of its own, and says who must know of more than a day', async () => {
    const clock = new FakeClock()
    const edge = service('edge', ROOTS, clock)
    const { passport } = await edge.kest.begin(step(users))
    const worker = service('reader', ROOTS, clock)
    clock.advance(DAY_MS)
    await worker.kest.resume({ passport: passport.toJSON() }, { maxAgeMs: DAY_MS })
    expect(worker.warnings()).toEqual([])
    clock.advance(DAY_MS)
    const late = { maxAgeMs: 3 * DAY_MS }
    const state = await worker.kest.resume({ passport: passport.toJSON() }, late)
    expect(worker.warnings()).toEqual([
      expect.stringMatching(/more than 24 hours was resumed.*maxLineageAgeMs/),
    ])
    const stale = { code: 'ERR_KEST_FRESHNESS' }
    const bounded = worker.kest.resume({ passport: passport.toJSON() }, { ...late, maxLineageAgeMs: DAY_MS })
    await expect(bounded).rejects.toMatchObject(stale)
    // Whom it calls takes a day, unless he says more.
    const called = await sends(worker, {}, state)
    const next = service('reader', ROOTS, clock)
    await expect(next.kest.extract({ ...called })).rejects.toMatchObject(stale)
    await expect(next.kest.extract({ ...called }, { maxLineageAgeMs: 3 * DAY_MS })).resolves.toBeDefined()
  })

  it('K-FRESH bounds what a partner brings to an edge, and what is not even verified', async () => {
    const clock = new FakeClock()
    const hop2 = service('hop2', ROOTS, clock)
    const state = await hop2.kest.extract(await sends(service('edge', ROOTS, clock), users), ENDLESS)
    clock.advance(DAY_MS + 1)
    const headers = await sends(hop2, {}, state)
    const reader = service('reader', ROOTS, clock)
    for (const options of [
      { origin: 'user_input', acceptLineage: true, binding: 'hop', audiences: [READER] } as const,
      { mode: 'off' } as const,
    ]) {
      const received = reader.kest.listener(options).receive({ headers: { ...headers } })
      await expect(received).rejects.toMatchObject({ code: 'ERR_KEST_FRESHNESS' })
    }
  })
})

describe('K-RESERVED names', () => {
  const kest = createKest({ logger: new RecordingLogger() })

  it.each<[string, Partial<OperationOptions>]>([
    ['an origin', { origin: 'kest.unproven' }],
    ['an added taint', { addedTaints: ['pii', 'kest.unlisted-root'] }],
    ['a removed taint', { removedTaints: ['kest.unproven'], sanitizer: true }],
    ['a label', { labels: { 'kest.identity_stated': 'true' } }],
  ])('K-RESERVED are refused as %s, fixed or resolved', async (_, options) => {
    expect(() => kest.operation(step(options))).toThrow(/option ".*" is not valid/)
    const [[name, value]] = Object.entries(options) as [[string, unknown]]
    const resolved = step({ ...options, [name]: () => value } as Partial<OperationOptions>)
    await expect(service('edge').kest.begin(resolved)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })

  it('K-RESERVED are refused as an origin of a listener and of an origin map', () => {
    expect(() => kest.listener({ origin: 'kest.unproven' })).toThrow(/reserved \(K-RESERVED\)/)
    expect(() => createKest({ origins: { 'kest.mine': 50 } })).toThrow(/reserved \(K-RESERVED\)/)
  })
})
