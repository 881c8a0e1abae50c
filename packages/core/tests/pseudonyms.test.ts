import { generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import type { Kest } from '../src/config/kest.js'
import { getCurrentAgent, getCurrentUser } from '../src/context/accessors.js'
import { Frame } from '../src/context/frame.js'
import type { KestState } from '../src/context/state.js'
import type { ListenerOptions } from '../src/ingress/listener-options.js'
import { toProblem } from '../src/ingress/problem.js'
import { MemoryPseudonymKeys } from '../src/pseudonyms/memory-pseudonym-keys.js'
import { pseudonymOf } from '../src/pseudonyms/pseudonym.js'
import type { PseudonymKey, PseudonymKeys } from '../src/pseudonyms/pseudonym-keys.js'
import type { SubjectOptions } from '../src/pseudonyms/subject-options.js'
import { parseIdentityLabel } from '../src/trust/identity-label.js'
import { type Service, sends, service, step } from './support/services.js'

const ISSUER = 'https://idp.test'
const TENANT = 'Wonderland Ltd'
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const token = { jwks: publicKey, issuer: ISSUER, audience: 'me' } as const
const edgeOptions: ListenerOptions = { origin: 'user_input', token }
const innerOptions: ListenerOptions = { token }
const clock = { now: () => Date.now() }
const OBSERVED = `policies: {}
roots: [{ workload: 'spiffe://kest.test/edge', ceiling: 40, identity: true }]
observe:
  - what: lineage
    scope: { all: true }
    reason: rollout
    approver: ops
    expires: ${new Date(Date.now() + 86_400_000).toISOString()}
`

async function bearer(sub: string, more: Record<string, unknown> = {}): Promise<Record<string, string>> {
  const jwt = await new SignJWT(JSON.parse(JSON.stringify({ client_id: 'Dodo', tid: TENANT, ...more })))
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(ISSUER)
    .setAudience('me')
    .setSubject(sub)
    .setExpirationTime((more['exp'] as number | undefined) ?? '1h')
    .sign(privateKey)
  return { authorization: `Bearer ${jwt}` }
}

const named = (
  name: 'edge' | 'hop2' | 'reader',
  subject: SubjectOptions | undefined,
  file?: string,
): Service => service(name, file, clock, subject === undefined ? {} : { subject })
const subjectOf = (pseudonyms: PseudonymKeys): SubjectOptions => ({
  pseudonyms,
  tenant: 'tid',
  timeoutMs: 60_000,
})
const alice = { part: 'user', issuer: ISSUER, tenant: TENANT, name: 'alice' } as const

/** A state of the edge for this person, and what an operation of it sends on. */
async function begun(edge: Service, sub = 'alice', more: Record<string, unknown> = {}) {
  const state = await edge.kest.listener(edgeOptions).receive({ headers: await bearer(sub, more) })
  const sent = await sends(edge, {}, state)
  return { state, sent }
}

const receivedAtEdge = async (edge: Service, sub: string) => ({
  state: await edge.kest.listener(edgeOptions).receive({ headers: await bearer(sub) }),
})

const signedIn = (state: KestState) =>
  parseIdentityLabel(state.frame.lineage.tips[0]?.entry.labels['kest.identity'] as string)

/** What comes of a request behind the edge: the state, or the error. */
async function receivedBy(
  kest: Kest,
  headers: Record<string, string>,
  more: object = {},
): Promise<KestState> {
  return kest.listener(innerOptions).receive({ headers: { ...headers }, ...more })
}

describe('pseudonyms where lineage begins', () => {
  it('K-PSEUDONYM are what is signed and sent of user and agent; policies and the application there see the clear names', async () => {
    const keys = new MemoryPseudonymKeys()
    const edge = named('edge', subjectOf(keys))
    const { state } = await begun(edge)
    const pseudonym = pseudonymOf(keys.current(alice), alice)
    const agent = pseudonymOf(keys.current(alice), { ...alice, part: 'agent', name: 'Dodo' })
    expect(state.identity?.context).toEqual({ user: pseudonym, agent, task: null })
    const operation = await edge.kest.begin(step(), { state })
    const inner = operation.enter()
    await edge.kest.run(inner, async () => {
      expect([getCurrentUser(), getCurrentAgent()]).toEqual(['alice', 'Dodo'])
      await edge.kest.begin(step())
      const sent = await edge.kest.inject({} as Record<string, string>, 'http://reader.test')
      expect(sent['baggage']).toContain(`kest.user=${pseudonym},kest.agent=${agent}`)
    })
    expect(signedIn(inner)).toEqual({ user: pseudonym, agent, task: null })
    expect(edge.engine.requests.length).toBeGreaterThanOrEqual(3)
    for (const { context } of edge.engine.requests)
      expect(context.subject).toMatchObject({ user: 'alice', agent: 'Dodo' })
  })

  it('K-PSEUDONYM are seen by policies and applications behind, with a token of the same person as well', async () => {
    const keys = new MemoryPseudonymKeys()
    const { sent } = await begun(named('edge', subjectOf(keys)))
    const pseudonym = pseudonymOf(keys.current(alice), alice)
    for (const more of [{}, await bearer('alice')]) {
      const hop2 = named('hop2', subjectOf(keys))
      const state = await receivedBy(hop2.kest, { ...sent, ...more })
      const operation = await hop2.kest.begin(step(), { state })
      hop2.kest.run(operation.enter(), () => expect(getCurrentUser()).toBe(pseudonym))
      expect(signedIn(operation.state).user).toBe(pseudonym)
      expect(hop2.engine.requests[0]?.context.subject.user).toBe(pseudonym)
    }
  })

  it('K-PSEUDONYM are of the parts that the operator names', async () => {
    const keys = new MemoryPseudonymKeys()
    for (const parts of [['user'], ['task'], ['user', 'agent', 'task']] as const) {
      const edge = named('edge', { ...subjectOf(keys), parts })
      const { state } = await begun(edge, 'alice', { scope: 'orders:read' })
      const clear = { user: 'alice', agent: 'Dodo', task: 'orders:read' }
      for (const part of ['user', 'agent', 'task'] as const)
        expect(state.identity?.context[part] === clear[part]).toBe(
          !(parts as readonly string[]).includes(part),
        )
    }
  })

  it('K-PSEUDONYM tell issuers, tenants and nobody’s apart', async () => {
    const keys = new MemoryPseudonymKeys()
    const users = new Set<unknown>()
    for (const tid of ['a', 'b', undefined, ''])
      users.add((await begun(named('edge', subjectOf(keys)), 'alice', { tid })).state.identity?.context.user)
    expect(users.size).toBe(3)
  })

  it('K-PSEUDONYM are in the state without whom they stand for, as it is printed', async () => {
    const { state } = await begun(named('edge', subjectOf(new MemoryPseudonymKeys())))
    const { jwt: _, ...rest } = state
    const printed = inspect(rest, { depth: 20, showHidden: true }) + JSON.stringify({ ...rest, frame: null })
    expect(printed).not.toMatch(/alice|Dodo|Wonderland/)
  })

  it('K-PSEUDONYM name whom an operation states, in a name space of its own, so that nobody learns those of tokens by it', async () => {
    const keys = new MemoryPseudonymKeys()
    const edge = named('edge', subjectOf(keys))
    const { state } = await begun(edge, 'mallory')
    const operation = await edge.kest.begin(step({ user: 'alice' }), { state })
    const own = pseudonymOf(keys.current(alice), { ...alice, issuer: null })
    expect(signedIn(operation.state).user).toBe(own)
    expect(own).not.toBe(pseudonymOf(keys.current(alice), alice))
    expect(edge.engine.requests.at(-1)?.context.subject.user).toBe('alice')
    // Outside any request, too; and what it states is known within.
    const job = await edge.kest.begin(step({ origin: 'system', user: 'alice', agent: 'job' }), {
      state: null,
    })
    expect(signedIn(job.state).user).toBe(
      pseudonymOf(keys.current({ tenant: null }), { ...alice, issuer: null, tenant: null }),
    )
    edge.kest.run(job.enter(), () => expect([getCurrentUser(), getCurrentAgent()]).toEqual(['alice', 'job']))
  })

  it('K-PSEUDONYM keep the name when an operation states again what the accessors answer', async () => {
    const keys = new MemoryPseudonymKeys()
    const edge = named('edge', subjectOf(keys))
    const { state } = await begun(edge)
    keys.rotate({ tenant: TENANT })
    for (const user of ['alice', state.identity?.context.user as string]) {
      const operation = await edge.kest.begin(step({ user }), { state })
      expect(signedIn(operation.state)).toEqual(state.identity?.context)
    }
  })

  it('K-PSEUDONYM name who comes without lineage where that is optional', async () => {
    const keys = new MemoryPseudonymKeys()
    const hop2 = named('hop2', subjectOf(keys))
    const headers = await bearer('alice')
    const state = await hop2.kest.listener({ token, lineage: 'optional' }).receive({ headers })
    const operation = await hop2.kest.begin(step({ user: 'bob' }), { state })
    expect(signedIn(operation.state).user).toBe(pseudonymOf(keys.current(alice), alice))
    expect(hop2.engine.requests[0]?.context.subject.user).toBe('alice')
  })

  it('K-PSEUDONYM leave what the application itself puts into an entry as it is', async () => {
    const edge = named('edge', subjectOf(new MemoryPseudonymKeys()))
    const { state } = await begun(edge)
    const labels = { customer: 'alice' }
    const operation = await edge.kest.begin(step({ labels, metadata: 'alice' }), { state })
    expect(operation.entry.entry).toMatchObject({ labels, metadata: 'alice' })
  })

  it('K-PSEUDONYM: a reason of a policy, and an error, that name somebody are withheld from spans and logs', async () => {
    const exporter = new InMemorySpanExporter()
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
    const failures = [
      () => ({ allow: true, reason: 'ALICE may' }),
      () => ({ allow: false, reason: 'alice may not' }),
      () => ({ allow: false, reason: 'GET /agents/Dodo%20Bird: 404' }),
      () => {
        throw new Error('no rule for alice', { cause: new TypeError('Dodo') })
      },
    ]
    const logger = named('edge', undefined).logger
    for (const evaluate of failures) {
      const edge = service('edge', undefined, clock, {
        subject: subjectOf(new MemoryPseudonymKeys()),
        engine: { evaluate },
        telemetry: { tracerProvider },
        logger,
      })
      const headers = await bearer('alice', { client_id: 'Dodo Bird' })
      const state = await edge.kest.listener(edgeOptions).receive({ headers })
      const failure: unknown = await edge.kest.begin(step(), { state }).catch((error) => error)
      expect(
        inspect(failure instanceof Error ? [failure, toProblem(failure)] : [], { depth: 9 }),
      ).not.toMatch(/alice|Dodo/i)
    }
    const spans = exporter
      .getFinishedSpans()
      .map(({ attributes, events, status }) => ({ attributes, events, status }))
    expect(spans.length).toBeGreaterThanOrEqual(failures.length)
    const told = inspect([spans, logger.records], { depth: 20, maxStringLength: null })
    expect(told).toContain('withheld')
    expect(told).not.toMatch(/alice|Dodo/i)
  })

  it.each<[string, string, (name: string) => string]>([
    ['JSON', 'ACME\\alice', (name) => JSON.stringify({ user: name })],
    ['JSON within JSON', 'ACME\\alice', (name) => JSON.stringify(JSON.stringify({ user: name }))],
    ['JSON that is ASCII alone', 'Renée', () => '{"user":"Ren\\u00e9e"}'],
    ['a form', 'Alice Liddell', () => 'user=Alice+Liddell'],
    ['a URL', 'Renée', () => '/users/REN%C3%89E'],
    ['another form of Unicode', 'Renée', (name) => name.normalize('NFD')],
  ])('K-PSEUDONYM: a reason that names somebody as in %s is withheld', async (_, name, spell) => {
    const engine = { evaluate: () => ({ allow: false, reason: `no rule for ${spell(name)}` }) }
    const edge = service('edge', undefined, clock, { subject: subjectOf(new MemoryPseudonymKeys()), engine })
    const { state } = await receivedAtEdge(edge, name)
    await expect(edge.kest.begin(step(), { state })).rejects.toMatchObject({
      reason: expect.stringContaining('withheld'),
    })
  })

  it('K-PSEUDONYM: what is thrown has no cause that may hold the question or the token', async () => {
    const engine = {
      evaluate: (question: unknown) => {
        throw Object.assign(new Error('no answer', { cause: { question } }), { config: { question } })
      },
    }
    const edge = service('edge', undefined, clock, { subject: subjectOf(new MemoryPseudonymKeys()), engine })
    const { state } = await receivedAtEdge(edge, 'alice')
    const failure: unknown = await edge.kest.begin(step(), { state }).catch((error) => error)
    expect(failure).toMatchObject({ code: 'ERR_KEST_ENGINE' })
    expect(inspect(edge.logger.records, { depth: 20 })).toContain('no answer')
    const headers = await bearer('alice', { exp: 1 })
    const refused: unknown = await edge.kest
      .listener(edgeOptions)
      .receive({ headers })
      .catch((error) => error)
    expect(refused).toMatchObject({ code: 'ERR_KEST_TOKEN', cause: { code: 'ERR_JWT_EXPIRED' } })
    expect(inspect([failure, refused, edge.logger.records], { depth: 20, showHidden: true })).not.toContain(
      'alice',
    )
  })

  it('K-PSEUDONYM: a function of the claims that fails has its words kept from the log', async () => {
    const edge = named('edge', {
      ...subjectOf(new MemoryPseudonymKeys()),
      tenant: ({ sub }) => explode(`no tenant of ${sub}`),
    })
    await expect(begun(edge)).rejects.toMatchObject({ code: 'ERR_KEST_TOKEN' })
    expect(inspect(edge.logger.records, { depth: 9 })).toMatch(
      /claims.tenant: the function failed; cause: TypeError/,
    )
    expect(inspect(edge.logger.records, { depth: 9 })).not.toContain('alice')
  })
})

describe('a clear name that begins as a pseudonym does', () => {
  const pretended = pseudonymOf({ kid: 'k1', key: Buffer.alloc(32) }, alice)

  it.each([
    ['sub', pretended],
    ['sub', 'kest-p1.'],
    ['client_id', pretended],
    ['scope', 'kest-p1.x'],
  ])('K-PSEUDONYM is refused in a token’s %s, also where there are no pseudonyms', async (claim, value) => {
    for (const subject of [undefined, subjectOf(new MemoryPseudonymKeys())]) {
      const edge = named('edge', subject)
      const more = { [claim]: value }
      await expect(begun(edge, (more['sub'] as string) ?? 'alice', more)).rejects.toMatchObject({
        code: 'ERR_KEST_TOKEN',
        statusCode: 401,
      })
    }
  })

  it('K-PSEUDONYM is refused as the agent that a token delegates to, as a tenant, and of a function', async () => {
    const edge = named('edge', subjectOf(new MemoryPseudonymKeys()))
    for (const more of [{ act: { sub: pretended } }, { tid: pretended }])
      await expect(begun(edge, 'alice', more)).rejects.toMatchObject({ code: 'ERR_KEST_TOKEN' })
    const claims = { user: () => pretended }
    const listener = edge.kest.listener({ origin: 'user_input', token: { ...token, claims } })
    await expect(listener.receive({ headers: await bearer('alice') })).rejects.toMatchObject({
      code: 'ERR_KEST_TOKEN',
    })
  })

  it('K-PSEUDONYM is refused of an operation, also where there are no pseudonyms', async () => {
    for (const subject of [undefined, subjectOf(new MemoryPseudonymKeys())])
      for (const part of ['user', 'agent', 'task'])
        for (const name of [pretended, 'kest-p1.'])
          await expect(
            named('edge', subject).kest.begin(step({ origin: 'system', [part]: name })),
          ).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY_CONFLICT' })
  })

  it.each(['kest-p1.', 'kest-p1.k.x', 'kest-p1.a.b.c', `${pretended}=`, `kest-p1.${'k'.repeat(3_000)}.x`])(
    'K-PSEUDONYM is refused of a workload that signs it, where it is none: %.40s',
    async (user) => {
      // A workload signs what it likes: here by a name that its own code does not look at.
      const edge = named('edge', undefined)
      const { state } = await begun(edge)
      const lying = { ...state, identity: { context: { user, agent: null, task: null }, by: null } }
      const sent = await sends(edge, {}, lying)
      for (const subject of [undefined, subjectOf(new MemoryPseudonymKeys())])
        await expect(receivedBy(named('reader', subject).kest, sent)).rejects.toMatchObject({
          code: 'ERR_KEST_IDENTITY_CONFLICT',
          statusCode: 403,
        })
    },
  )
})

describe('a token behind the edge', () => {
  it('K-PSEUDONYM is the lineage’s when it is of the same person, under the kid of the lineage, also after a rotation', async () => {
    const keys = new MemoryPseudonymKeys()
    const { state, sent } = await begun(named('edge', subjectOf(keys)))
    const before = state.identity?.context
    for (const rotated of [false, true]) {
      if (rotated) keys.rotate({ tenant: TENANT })
      const hop2 = named('hop2', subjectOf(keys))
      const inner = await receivedBy(hop2.kest, { ...sent, ...(await bearer('alice')) })
      expect(inner.identity).toEqual({ context: before, by: null })
      expect(inner.identityStated).toBe(true)
      const next = await sends(hop2, {}, inner)
      expect(next['baggage']).toContain(`kest.user=${before?.user}`)
      const last = await receivedBy(named('reader', subjectOf(keys)).kest, next)
      expect(last.identity?.context).toEqual(before)
    }
  })

  it('K-PSEUDONYM is refused when it is of another person, agent, tenant or issuer', async () => {
    const keys = new MemoryPseudonymKeys({ per: 'user' })
    const { sent } = await begun(named('edge', subjectOf(keys)))
    const hop2 = named('hop2', subjectOf(keys))
    for (const headers of [
      await bearer('bob'),
      await bearer('Alice'),
      await bearer('alice', { client_id: 'Duchess' }),
      await bearer('alice', { tid: 'other' }),
      await bearer('alice', { tid: undefined }),
    ]) {
      const failure: unknown = await receivedBy(hop2.kest, { ...sent, ...headers }).catch((error) => error)
      expect(failure).toMatchObject({ code: 'ERR_KEST_IDENTITY_CONFLICT', statusCode: 403 })
      expect(inspect([failure, hop2.logger.records], { depth: 9 })).not.toMatch(
        /alice|bob|Dodo|Duchess|Wonderland/i,
      )
    }
  })

  it('K-PSEUDONYM may switch to another person where the route says so, who is named by the key of now', async () => {
    const keys = new MemoryPseudonymKeys()
    const { sent } = await begun(named('edge', subjectOf(keys)))
    const now = keys.rotate({ tenant: TENANT })
    const hop2 = named('hop2', subjectOf(keys))
    const state = await receivedBy(hop2.kest, { ...sent, ...(await bearer('bob')) }, { switchIdentity: true })
    expect(state.identity?.context.user).toBe(pseudonymOf(now, { ...alice, name: 'bob' }))
    await hop2.kest.begin(step(), { state })
    expect(hop2.engine.requests[0]?.context.subject.user).toBe(state.identity?.context.user)
  })

  it('K-PSEUDONYM is refused where the key of the lineage was destroyed, and nothing says who it is', async () => {
    const keys = new MemoryPseudonymKeys({ per: 'user' })
    const { sent } = await begun(named('edge', subjectOf(keys)))
    keys.destroy(alice)
    const hop2 = named('hop2', subjectOf(keys))
    for (const switchIdentity of [false, true]) {
      const headers = { ...sent, ...(await bearer('alice')) }
      const failure: unknown = await receivedBy(hop2.kest, headers, { switchIdentity }).catch(
        (error) => error,
      )
      expect(failure).toMatchObject({ code: 'ERR_KEST_IDENTITY_CONFLICT', statusCode: 403 })
      expect(inspect([failure, hop2.logger.records], { depth: 9 })).not.toMatch(/alice|Dodo|Wonderland/i)
    }
    // Without a token of its own it serves on: the lineage verifies as before.
    expect((await receivedBy(hop2.kest, sent)).identity?.context.user).toMatch(/^kest-p1\./)
  })

  it('K-PSEUDONYM is refused where there are no keys to compare it with, and signed beside no pseudonym', async () => {
    const keys = new MemoryPseudonymKeys()
    const { sent } = await begun(named('edge', subjectOf(keys)))
    const hop2 = named('hop2', undefined)
    for (const switchIdentity of [false, true])
      await expect(
        receivedBy(hop2.kest, { ...sent, ...(await bearer('alice')) }, { switchIdentity }),
      ).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY_CONFLICT' })
  })

  it('K-PSEUDONYM is replaced by no clear name that an operation states, where there are no keys to name it by', async () => {
    const { state: first, sent } = await begun(named('edge', subjectOf(new MemoryPseudonymKeys())))
    const reader = named('reader', undefined)
    const state = await reader.kest.listener({}).receive({ headers: { ...sent } })
    for (const stated of [{ user: 'bob' }, { agent: 'planner' }])
      await expect(reader.kest.begin(step(stated), { state })).rejects.toMatchObject({
        code: 'ERR_KEST_IDENTITY_CONFLICT',
      })
    const { entry } = await reader.kest.begin(step({ task: 'refund' }), { state })
    const label = entry.entry.labels['kest.identity'] as string
    expect(parseIdentityLabel(label)).toEqual({ ...first.identity?.context, task: 'refund' })
  })

  it('K-PSEUDONYM is compared in clear with lineage that was begun in clear', async () => {
    const { sent } = await begun(named('edge', undefined))
    const hop2 = named('hop2', subjectOf(new MemoryPseudonymKeys()))
    const state = await receivedBy(hop2.kest, { ...sent, ...(await bearer('alice')) })
    expect(state.identity?.context).toMatchObject({ user: 'alice', agent: 'Dodo' })
    await expect(receivedBy(hop2.kest, { ...sent, ...(await bearer('bob')) })).rejects.toMatchObject({
      code: 'ERR_KEST_IDENTITY_CONFLICT',
    })
  })

  it('K-PSEUDONYM goes on alone where the conflict is only observed, under the key of now', async () => {
    const keys = new MemoryPseudonymKeys({ per: 'user' })
    const { sent } = await begun(named('edge', subjectOf(keys)))
    const hop2 = named('hop2', subjectOf(keys), OBSERVED)
    keys.destroy(alice)
    for (const name of ['alice', 'bob']) {
      const state = await receivedBy(hop2.kest, { ...sent, ...(await bearer(name)) })
      const subject = { ...alice, name }
      expect(state.origin).toBe('kest.unproven')
      expect(state.identity?.context.user).toBe(pseudonymOf(keys.current(subject), subject))
    }
  })

  it('K-PSEUDONYM: a workload that copies a value it saw gains nothing that it could not state in clear', async () => {
    const keys = new MemoryPseudonymKeys()
    const { state } = await begun(named('edge', subjectOf(keys)))
    // It may begin nothing that names somebody: by a pseudonym as little as in clear.
    const copied = { ...state, frame: new Frame(), identityStated: true }
    const sent = await sends(named('hop2', undefined), { origin: 'system' }, copied)
    const reader = named('reader', subjectOf(keys))
    const received = await receivedBy(reader.kest, sent)
    expect(received.frame.lineage.tips[0]).toMatchObject({
      claimedIdentity: state.identity?.context,
      identity: null,
      trustScore: 0,
    })
    expect(received.identity).toBeNull()
  })
})

describe('a source of keys', () => {
  const key = Buffer.alloc(32, 7)
  const hang = () => new Promise<never>(() => {})
  const cases: [string, () => unknown][] = [
    ['throws', () => explode('no key for alice of Wonderland Ltd')],
    ['rejects', () => Promise.reject(new Error('alice', { cause: new Error('Wonderland Ltd') }))],
    ['rejects with text', () => Promise.reject('alice')],
    ['answers nothing', () => undefined],
    ['answers text', () => 'key'],
    ['answers a key of 31 bytes', () => ({ kid: 'k1', key: key.subarray(1) })],
    ['answers a key that is text', () => ({ kid: 'k1', key: key.toString('hex') })],
    ['answers no key', () => ({ kid: 'k1' })],
    ['answers a kid with a dot', () => ({ kid: 'k.1', key })],
    ['answers a kid of 1 MB', () => ({ kid: 'k'.repeat(1_048_576), key })],
    ['answers a kid that is no text', () => ({ kid: 1, key })],
    [
      'answers what cannot be read',
      () => ({
        get kid() {
          return explode('alice')
        },
      }),
    ],
  ]
  const late: SubjectOptions['timeoutMs'] = 20

  it.each([...cases, ['hangs', hang] as [string, () => unknown]])(
    'K-PSEUDONYM that %s at the edge refuses the request with 503, and says of nobody who it is',
    async (name, current) => {
      const pseudonyms = { current, find: () => null } as PseudonymKeys
      const edge = named('edge', { ...subjectOf(pseudonyms), ...(name === 'hangs' && { timeoutMs: late }) })
      const failure: unknown = await begun(edge).catch((error) => error)
      expect(failure).toMatchObject({ code: 'ERR_KEST_KEYS_UNAVAILABLE', statusCode: 503 })
      expect(inspect([failure, toProblem(failure), edge.logger.records], { depth: 9 })).not.toMatch(
        /alice|Dodo|Wonderland/i,
      )
      await expect(edge.kest.begin(step({ origin: 'system', user: 'alice' }))).rejects.toMatchObject({
        code: 'ERR_KEST_KEYS_UNAVAILABLE',
      })
      expect(edge.engine.requests).toEqual([])
      expect(inspect(edge.logger.records, { depth: 9 })).not.toMatch(/alice|Dodo|Wonderland/i)
    },
  )

  it.each([...cases, ['answers another key', () => ({ kid: 'other', key })] as [string, () => unknown]])(
    'K-PSEUDONYM that %s behind the edge refuses the request with 503',
    async (_, find) => {
      const { sent } = await begun(named('edge', subjectOf(new MemoryPseudonymKeys())))
      const pseudonyms = { current: () => ({ kid: 'k1', key }), find } as PseudonymKeys
      const hop2 = named('hop2', subjectOf(pseudonyms))
      const failure: unknown = await receivedBy(hop2.kest, { ...sent, ...(await bearer('alice')) }).catch(
        (e) => e,
      )
      expect(failure).toMatchObject({ code: 'ERR_KEST_KEYS_UNAVAILABLE', statusCode: 503 })
      expect(inspect([failure, hop2.logger.records], { depth: 9 })).not.toMatch(/alice|Dodo|Wonderland/i)
    },
  )

  it('K-PSEUDONYM that has no key for somebody refuses the request with 403', async () => {
    const edge = named('edge', subjectOf({ current: () => null, find: () => null }))
    await expect(begun(edge)).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY_CONFLICT', statusCode: 403 })
    await expect(edge.kest.begin(step({ origin: 'system', user: 'alice' }))).rejects.toMatchObject({
      code: 'ERR_KEST_IDENTITY_CONFLICT',
    })
    // Where nobody is named no key is asked for.
    const state = await edge.kest.listener(edgeOptions).receive({ headers: {} })
    expect((await edge.kest.begin(step(), { state })).entry.identity).toBeNull()
  })

  it('K-PSEUDONYM is waited for no longer than the caller waits', async () => {
    const leaving = new AbortController()
    const asked: string[] = []
    const pseudonyms = {
      current: ({ part }) => {
        asked.push(part)
        if (asked.length === 2) leaving.abort()
        return hang()
      },
      find: () => null,
    } as PseudonymKeys
    const edge = named('edge', subjectOf(pseudonyms))
    const listener = edge.kest.listener(edgeOptions)
    await expect(
      listener.receive({ headers: await bearer('alice'), signal: leaving.signal }),
    ).rejects.toMatchObject({ code: 'ERR_KEST_ABORTED' })
    expect(asked).toEqual(['user', 'agent'])
  })

  it('K-PSEUDONYM is asked for keys by the person, the part and the kid, and by nothing else', async () => {
    const asked: unknown[] = []
    const made: PseudonymKey = { kid: 'k1', key }
    const pseudonyms: PseudonymKeys = {
      current: (...args) => {
        asked.push(args)
        return Promise.resolve(made)
      },
      find: (...args) => {
        asked.push(args)
        return made
      },
    }
    const { sent } = await begun(named('edge', subjectOf(pseudonyms)), 'alice', { client_id: undefined })
    await receivedBy(named('hop2', subjectOf(pseudonyms)).kest, {
      ...sent,
      ...(await bearer('alice', { client_id: undefined })),
    })
    expect(asked).toEqual([[alice], ['k1', alice]])
  })

  it.each<[string, unknown]>([
    ['none', {}],
    ['a list', []],
    ['no source', { pseudonyms: {} }],
    ['a source of which nobody has waited', { pseudonyms: Promise.resolve(new MemoryPseudonymKeys()) }],
    ['parts that are none', { pseudonyms: new MemoryPseudonymKeys(), parts: ['name'] }],
    ['no parts', { pseudonyms: new MemoryPseudonymKeys(), parts: [] }],
    ['a tenant that is no claim', { pseudonyms: new MemoryPseudonymKeys(), tenant: 7 }],
    ['a time-out that is none', { pseudonyms: new MemoryPseudonymKeys(), timeoutMs: 0 }],
    ['another option', { pseudonyms: new MemoryPseudonymKeys(), pseudonym: 1 }],
  ])('K-PSEUDONYM: createKest refuses %s', (_, subject) => {
    expect(() => named('edge', subject as SubjectOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_CONFIG', message: expect.stringMatching(/^subject/) }),
    )
  })
})

function explode(message: string): never {
  throw new TypeError(message)
}
