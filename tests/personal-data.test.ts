/// <reference path="../packages/core/tests/oidc-provider.d.ts" />
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { inflateSync } from 'node:zlib'
import ts from 'typescript'
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest'
import {
  createKest,
  createKeySource,
  getCurrentUser,
  type Kest,
  MemoryPseudonymKeys,
  PseudonymKeyFile,
  type PseudonymKeys,
  pseudonymOf,
} from '../packages/core/dist/index.js'
import {
  MockIdentityProvider,
  MockPolicyEngine,
  RecordingLogger,
} from '../packages/core/dist/testing/index.js'
import {
  AUDIENCE,
  type OpenIdProvider,
  startOpenIdProvider,
  tokenOf,
} from '../packages/core/tests/support/openid-provider.js'
import { kestExpress, protect } from '../packages/express/dist/index.js'
import { kestFastify } from '../packages/fastify/dist/index.js'
import { setupTelemetry, type Telemetry } from '../packages/telemetry/dist/index.js'
import { createKestFetch } from '../packages/undici/dist/index.js'
import { root } from '../scripts/workspace.mjs'
import { snippetsOf } from './readmes/snippets.js'
import { linkWorkspaceModules } from './readmes/workspace-modules.js'
import { run, SCRIPT } from './support/run.js'

const { fastify } = createRequire(new URL('../packages/fastify/package.json', import.meta.url))('fastify')
const express = createRequire(new URL('../packages/express/package.json', import.meta.url))('express')

const ALICE = 'Alice.Liddell@example.org'
const BOB = 'Bill.the.Lizard@example.org'
const AGENT = 'dodo-assistant'
const TENANT = 'Wonderland Ltd'
const CLEAR = [ALICE, BOB, AGENT, TENANT]
const HOPS = ['hop1', 'hop2', 'hop3'] as const
type Hop = (typeof HOPS)[number]

const identities = new Map(HOPS.map((name) => [name, new MockIdentityProvider(name)]))
const publicKeys = Object.fromEntries(
  [...identities.values()].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]]),
)

let provider: OpenIdProvider
let folder: string
let seen: unknown[]

beforeAll(async () => {
  provider = await startOpenIdProvider()
})
afterAll(() => provider.close())
beforeEach(() => {
  seen = []
  folder = mkdtempSync(join(tmpdir(), 'kest-personal-'))
  const made = folder
  onTestFinished(() => rmSync(made, { recursive: true }))
  writeFileSync(join(folder, 'trust.json'), JSON.stringify({ keys: publicKeys }))
})

interface Service {
  readonly url: string
  readonly engine: MockPolicyEngine
  readonly logger: RecordingLogger
}

interface Chain extends Readonly<Record<Hop, Service>> {
  /** Ends it, so that what it exported is there. */
  end(): Promise<void>
}

/** Three services: Fastify at the edge, then Express, then Fastify; the second takes tokens of its own beside the lineage. */
async function startChain(keysOf: () => MaybePromise<PseudonymKeys>): Promise<Chain> {
  const ends: (() => Promise<unknown>)[] = []
  const next = new Map<Hop, string>()
  const token = { issuer: provider.issuer, audience: AUDIENCE, jwksTimeoutMs: 60_000 }
  const start = async (
    name: Hop,
    listen: (
      kest: Kest,
      call: typeof fetch,
      server: (app: RequestListener) => Promise<string>,
    ) => Promise<string>,
  ): Promise<Service> => {
    const [logger, engine] = [new RecordingLogger(), new MockPolicyEngine({ allow: true, never: false })]
    const telemetry: Telemetry = setupTelemetry({
      serviceName: name,
      exporter: 'file',
      endpoint: join(folder, 'spans', name),
      logger,
    })
    const kest = createKest({
      identity: identities.get(name) as MockIdentityProvider,
      engine,
      trust: createKeySource(publicKeys),
      telemetry,
      logger,
      policyTimeoutMs: 60_000,
      subject: { pseudonyms: await keysOf(), tenant: 'tid', timeoutMs: 60_000 },
    })
    const call = createKestFetch({ kest, propagateTo: (url) => url.hostname === '127.0.0.1' })
    const url = await listen(kest, call, async (app) => {
      const server = createServer((request, response) => {
        // What came over the wire: the client's own request aside, it is what another service has sent.
        if (name !== 'hop1') seen.push(wireOf(request.rawHeaders))
        app(request, response)
      }).listen(0, '127.0.0.1')
      await new Promise((resolve) => server.once('listening', resolve))
      ends.push(async () => {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      })
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    })
    ends.push(async () => {
      await kest.close()
      await telemetry.shutdown()
    })
    next.set(name, url)
    return { url, engine, logger }
  }
  const ask = async (
    call: typeof fetch,
    hop: Hop,
    headers: Record<string, string> = {},
  ): Promise<unknown> => {
    const response = await call(`${next.get(hop)}/`, { headers })
    return { status: response.status, body: await response.json() }
  }
  const edge = { origin: 'user_input', token }
  const hop1 = await start('hop1', async (kest, call, server) => {
    const app = fastify()
    await app.register(kestFastify, { kest, ...edge })
    const read = async (request: { headers: Record<string, string>; kest: { user: string } }) => {
      // The application at the edge knows whom it serves.
      clearAtEdge.push(request.kest.user, getCurrentUser())
      const own = request.headers['x-own-token']
      return ask(call, 'hop2', own === undefined ? {} : { authorization: `Bearer ${own}` })
    }
    app.get('/', { config: { kest: { policy: 'allow' } } }, read)
    app.get('/denied', { config: { kest: { policy: 'never' } } }, read)
    await app.ready()
    ends.push(() => app.close())
    return server((request, response) => app.routing(request, response))
  })
  const hop2 = await start('hop2', async (kest, call, server) => {
    const app = express()
    app.use(kestExpress({ kest, token }))
    app.get(
      '/',
      protect({ policy: 'allow' }),
      async (request: { kest: { user: string } }, response: Answering) => {
        response.json({ user: request.kest.user, ambient: getCurrentUser(), next: await ask(call, 'hop3') })
      },
    )
    return server(app)
  })
  const hop3 = await start('hop3', async (kest, _, server) => {
    const app = fastify()
    await app.register(kestFastify, { kest })
    app.get('/', { config: { kest: { policy: 'allow' } } }, async (request: { kest: { user: string } }) => ({
      user: request.kest.user,
    }))
    await app.ready()
    ends.push(() => app.close())
    return server((request, response) => app.routing(request, response))
  })
  let ended = false
  const end = async (): Promise<void> => {
    if (ended) return
    ended = true
    for (const one of ends.reverse()) await one()
  }
  onTestFinished(end)
  return { hop1, hop2, hop3, end }
}

const clearAtEdge: unknown[] = []

type MaybePromise<T> = T | Promise<T>
interface Answering {
  json(body: unknown): void
}

function tokenFor(username: string, more: Record<string, string> = {}): Promise<string> {
  return tokenOf(provider.issuer, { grant_type: 'password', username, actor: AGENT, tenant: TENANT, ...more })
}

async function get(url: string, token: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}`, ...headers } })
  const body = await response.text()
  seen.push([...response.headers], body)
  return { status: response.status, body: JSON.parse(body) }
}

/** All that is in some headers, unpacked: whatever carries a passport, and the entries of it. */
function wireOf(rawHeaders: readonly string[]): unknown {
  const authorization = rawHeaders.findIndex((name) => name.toLowerCase() === 'authorization')
  // A token of its own that a test has sent on is what it is.
  const others = rawHeaders.filter(
    (_, at) => authorization < 0 || (at !== authorization && at !== authorization + 1),
  )
  const packed = /kest\.passport_z=([\w-]+)/.exec(others.join('\n'))?.[1]
  const text = packed === undefined ? '' : inflateSync(Buffer.from(packed, 'base64url')).toString()
  return [others, text, entriesIn(others.map(decoded).join('\n') + text)]
}

function decoded(text: string): string {
  return decodeURIComponent(text)
}

/** Payloads of all compact JWS in a text. */
function entriesIn(text: string): string[] {
  return [...text.matchAll(/eyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]+/g)].map(([, payload = '']) =>
    Buffer.from(payload, 'base64url').toString(),
  )
}

function exportedIn(where: string): string[] {
  return readdirSync(where, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
}

function kest(...args: string[]): Promise<string> {
  return run(process.execPath, [join(root, 'packages/cli/bin/kest.js'), ...args], folder)
}

const AUDIT = ['audit', 'spans/', '--trust', 'trust.json'] as const

it('K-PSEUDONYM no clear user, agent or tenant leaves the edge: in headers, spans, logs, answers, entries, policy input or the audit', async () => {
  const keys = new MemoryPseudonymKeys({ per: 'user' })
  const chain = await startChain(() => keys)
  const alice = await tokenFor(ALICE)
  const bob = await tokenFor(BOB)
  const subject = { part: 'user', issuer: provider.issuer, tenant: TENANT, name: ALICE } as const
  const before = pseudonymOf(keys.current(subject), subject)

  // Through all three, without and with a token of the same person in the middle.
  for (const own of [{}, { 'x-own-token': alice }]) {
    const { status, body } = await get(chain.hop1.url, alice, own)
    expect(status).toBe(200)
    expect(body.body).toMatchObject({
      user: before,
      ambient: before,
      next: { status: 200, body: { user: before } },
    })
  }
  expect(new Set(clearAtEdge)).toEqual(new Set([ALICE]))
  for (const { context } of chain.hop1.engine.requests)
    expect(context.subject).toMatchObject({ user: ALICE, agent: AGENT })

  // Of another person, another agent: refused behind, and the edge says no more than that.
  for (const own of [bob, await tokenFor(ALICE, { actor: 'duchess' })])
    expect((await get(chain.hop1.url, alice, { 'x-own-token': own })).body).toMatchObject({
      status: 403,
      body: { code: 'ERR_KEST_IDENTITY_CONFLICT' },
    })
  expect((await get(`${chain.hop1.url}/denied`, alice)).status).toBe(403)
  expect((await get(chain.hop1.url, `${alice}x`)).status).toBe(401)
  expect((await get(chain.hop1.url, await tokenFor('kest-p1.k.x'))).status).toBe(401)

  // Rotated: who is named anew is found by either key.
  const rotated = keys.rotate(subject)
  const after = pseudonymOf(rotated, subject)
  expect((await get(chain.hop1.url, alice, { 'x-own-token': alice })).body.body.user).toBe(after)

  // Erased.
  const before1 = keys.all(subject)
  keys.destroy(subject)
  expect(before1.map(({ kid }) => keys.find(kid, subject))).toEqual([null, null])
  const again = (await get(chain.hop1.url, alice)).body.body.user
  expect([before, after]).not.toContain(again)
  await chain.end()

  const audited = await kest(...AUDIT)
  // The seventh is of what was denied at the edge, of which there is no entry.
  expect(audited).toContain('7 traces: 6 verified')
  expect(audited).not.toMatch(/broken|incomplete/)
  expect(audited).toContain(before)
  const json = await kest(...AUDIT, '--json')
  const spans = exportedIn(join(folder, 'spans'))
  const entries = entriesIn(spans.join('\n'))
  for (const name of [before, after, again]) expect(entries.some((entry) => entry.includes(name))).toBe(true)
  const logs = HOPS.map((name) => chain[name].logger.records)
  expect(logs.flat().length).toBeGreaterThan(0)
  const asked = [chain.hop2, chain.hop3].flatMap(({ engine }) => engine.requests)
  expect(asked.length).toBeGreaterThan(0)
  const all = inspect([seen, audited, json, spans, entries, logs, asked], {
    depth: 30,
    maxStringLength: null,
    maxArrayLength: null,
  })
  expect(all).toContain('kest.user=kest-p1.')
  for (const entry of entries) expect(entry).not.toContain('127.0.0.1')
  for (const name of CLEAR.flatMap((one) => [
    one,
    encodeURIComponent(one),
    one.toLowerCase(),
    JSON.stringify(one),
  ]))
    expect(all).not.toContain(name)
})

it('K-PSEUDONYM an auditor with the keys finds the entries of a person, as the guide says, and without them nobody', async () => {
  const ring = (...bytes: number[]) => ({
    current: `k${bytes.at(-1)}`,
    keys: Object.fromEntries(bytes.map((byte) => [`k${byte}`, Buffer.alloc(32, byte).toString('base64url')])),
  })
  const file = join(folder, 'pseudonyms.json')
  const write = (tenants: object): void => {
    writeFileSync(`${file}.new`, JSON.stringify({ tenants }))
    renameSync(`${file}.new`, file)
  }
  write({ [TENANT]: ring(1), other: ring(9) })
  // Each service reads it by itself, as from a mounted secret.
  const chain = await startChain(() => PseudonymKeyFile.open(file, { maxAgeMs: 0 }))
  const alice = await tokenFor(ALICE)
  const first = (await get(chain.hop1.url, alice, { 'x-own-token': alice })).body.body.user
  write({ [TENANT]: ring(1, 2), other: ring(9) })
  const second = (await get(chain.hop1.url, alice)).body.body.user
  const bobs = (await get(chain.hop1.url, await tokenFor(BOB))).body.body.user
  expect([kidOf(first), kidOf(second), kidOf(bobs)]).toEqual(['k1', 'k2', 'k2'])
  await chain.end()

  const [, snippet] = snippetsOf('docs/personal-data.md').filter(({ language }) => language === 'ts')
  const [commands] = snippetsOf('docs/personal-data.md').filter(({ language }) => language === 'sh')
  linkWorkspaceModules(folder)
  const { outputText } = ts.transpileModule(snippet?.text ?? '', {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  })
  writeFileSync(join(folder, 'names.mjs'), outputText)
  const found = async (): Promise<string> => {
    const script =
      `kest() { '${process.execPath}' '${join(root, 'packages/cli/bin/kest.js')}' "$@"; }\n${commands?.text}`
        .replace('https://id.example.org acme alice', `'${provider.issuer}' '${TENANT}' '${ALICE}'`)
        .replace('node names.mjs', `'${process.execPath}' names.mjs`)
    return run('bash', [...SCRIPT, `${script} || true`], folder)
  }
  const lines = (await found()).trim().split('\n')
  expect(lines).toHaveLength(2)
  for (const name of [first, second]) expect(lines.filter((line) => line.includes(name))).toHaveLength(1)
  expect(lines.join()).not.toContain(bobs)

  // Erased: there are no names to look for, and all verifies as before.
  write({ other: ring(9) })
  expect((await found()).trim()).toBe('')
  expect(await kest(...AUDIT)).toContain('3 traces: 3 verified')
})

it('K-PSEUDONYM the guide shows a file of keys as it is read', async () => {
  const [shown] = snippetsOf('docs/personal-data.md').filter(({ language }) => language === 'json')
  const file = join(folder, 'pseudonyms.json')
  writeFileSync(file, shown?.text ?? '')
  const keys = await PseudonymKeyFile.open(file)
  expect((await keys.current({ tenant: 'acme' }))?.kid).toBe('2030a')
  expect(await keys.all({ tenant: 'acme' })).toHaveLength(2)
})

function kidOf(pseudonym: string): string | undefined {
  return pseudonym.split('.')[1]
}
