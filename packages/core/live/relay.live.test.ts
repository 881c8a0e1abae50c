import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKest } from '../src/config/kest.js'
import type { KestState } from '../src/context/state.js'
import { createKeySource } from '../src/identity/keys.js'
import { MockIdentityProvider } from '../src/identity/mock.js'
import { MemoryCache } from '../src/propagation/memory-cache.js'
import { MockPolicyEngine } from '../src/testing/mock-engine.js'
import { RecordingLogger } from '../src/testing/recording-logger.js'

const execute = promisify(execFile)
const closing: (() => unknown)[] = []
let relay: string
let received: IncomingHttpHeaders

/** What is behind the relay: keeps the headers, and answers nothing. */
async function startReceiver(): Promise<string> {
  const server = createServer((request, response) => {
    received = request.headers
    response.end()
  }).listen(0, '127.0.0.1')
  closing.push(() => server.close())
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kest-relay-'))
  closing.push(() => rmSync(folder, { recursive: true, force: true }))
  await execute('python3', ['-m', 'venv', folder])
  const python = join(folder, 'bin/python')
  await execute(python, [
    '-m',
    'pip',
    'install',
    '--disable-pip-version-check',
    '-q',
    'opentelemetry-api==1.39.1',
  ])
  const program = join(import.meta.dirname, 'python/relay.py')
  const child = spawn(python, [program, await startReceiver()], { stdio: ['ignore', 'pipe', 'inherit'] })
  closing.push(() => child.kill('SIGKILL'))
  const [port] = await once(createInterface(child.stdout), 'line')
  relay = `http://127.0.0.1:${port}`
}, 300_000)

afterAll(async () => {
  for (const close of closing.reverse()) await close()
})

const [edge, orders] = [new MockIdentityProvider('edge'), new MockIdentityProvider('orders')]
const trust = createKeySource({ [edge.getWorkloadId()]: [edge.getPublicJwk()] })
const cache = new MemoryCache()
const [sender, receiver] = [edge, orders].map((identity) =>
  createKest({ identity, trust, cache, engine: new MockPolicyEngine(), logger: new RecordingLogger() }),
) as [ReturnType<typeof createKest>, ReturnType<typeof createKest>]

/** A request whose operation is on somebody's behalf, sent by way of the relay; what arrives, verified. */
async function across(identity: object, deep = 1, existing?: string): Promise<KestState> {
  let state: KestState | null = null
  for (let i = 0; i < deep; i++) {
    const first: object = state === null ? { origin: 'system', ...identity } : {}
    state = (await sender.begin({ operation: 'send', policy: 'p', ...first }, { state })).state
  }
  const headers = existing === undefined ? {} : { baggage: existing }
  const sent = await sender.inject(headers as Record<string, string>, relay, { state: state as KestState })
  await fetch(relay, { headers: sent })
  return receiver.extract(received)
}

describe('a relay with the OpenTelemetry API of Python between two services', () => {
  it.each([
    ['alice@example.org', 'openid profile'],
    ['Alice Smith', 'a+b c%20d'],
    ['Jörg, 1; "x"=\\', 'read:orders write:orders'],
    ['alice', 'order-7.b_c~d'],
  ])('K-RELAYED passes on the lineage of %j, whose task is %j', async (user, task) => {
    const { frame } = await across({ user, task, agent: 'crawler' })
    expect(frame.lineage.tips[0]?.identity).toEqual({ user, task, agent: 'crawler' })
  })

  it('K-RELAYED does write a space anew, as "+"', async () => {
    await across({ user: 'alice' }, 1, 'name=Alice%20Smith')
    expect(received['baggage']).toContain('name=Alice+Smith')
  })

  it.each([
    ['kest.passport', 1],
    ['kest.passport_z', 5],
    ['kest.claim_check', 40],
  ])('K-RELAYED passes on %s', async (member, deep) => {
    const { frame } = await across({ user: 'alice@example.org' }, deep)
    expect(received['baggage']).toContain(`${member}=`)
    expect(frame.lineage.length).toBe(deep)
  })

  it('K-RELAYED K-TIPS passes on a digest of tips', async () => {
    const { state } = await sender.begin({ operation: 'send', policy: 'p', origin: 'system' })
    const branches = Array.from({ length: 70 }, () =>
      sender.begin({ operation: 'branch', policy: 'p' }, { state }),
    )
    for (const branch of await Promise.all(branches)) branch.settle()
    await fetch(relay, { headers: await sender.inject({} as Record<string, string>, relay, { state }) })
    const { frame } = await receiver.extract(received)
    expect(frame.lineage.tips).toHaveLength(70)
  })
})
