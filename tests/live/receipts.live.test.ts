import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Audit, readFiles } from '../../packages/audit/dist/index.js'
import { createKest, type Kest } from '../../packages/core/dist/index.js'
import { MockPolicyEngine, RecordingLogger } from '../../packages/core/dist/testing/index.js'
import { kestFastify } from '../../packages/fastify/dist/index.js'
import { createDevAuthority, type DevAuthority } from '../../packages/spiffe/dist/dev-authority/index.js'
import { createX509KeySource, SPIREProvider } from '../../packages/spiffe/dist/index.js'
import { setupTelemetry, type Telemetry } from '../../packages/telemetry/dist/index.js'
import { createKestFetch } from '../../packages/undici/dist/index.js'
import { freePort } from '../brokers/free-port.js'

const { fastify } = createRequire(new URL('../../packages/fastify/package.json', import.meta.url))('fastify')
const CONFIGURATION = fileURLToPath(new URL('../../docker/collector/config.yaml', import.meta.url))
const UP_MS = 120_000
const HOPS = ['hop1', 'hop2', 'hop3'] as const
type Hop = (typeof HOPS)[number]
const idOf = (hop: Hop): string => `spiffe://example.org/${hop}`

/** One process of a hop: an identity by its Workload API, an audit trail to the Collector, and a server. */
interface Running {
  readonly kest: Kest
  readonly origin: string
  readonly telemetry: Telemetry
  stop(): Promise<void>
}

interface Span {
  readonly service: string
  readonly name: string
  readonly traceId: string
  /** Of an entry or a receipt: what is signed. */
  readonly entry: { readonly operation: string; readonly labels: Readonly<Record<string, string>> } | null
}

let folder: string
let collector: ChildProcess
let endpoint: string
let spansFile: string
let authority: DevAuthority
/** What malicious hop2 does to the header of its answers. */
let tamper: (receipt: string) => string | Promise<string> = (receipt) => receipt

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kest-receipts-'))
  spansFile = join(folder, 'spans.jsonl')
  const port = await freePort()
  endpoint = `http://127.0.0.1:${port}`
  collector = spawn('otelcol', ['--config', CONFIGURATION], {
    env: { ...process.env, KEST_COLLECTOR_LISTEN: `127.0.0.1:${port}`, KEST_COLLECTOR_FILE: spansFile },
    stdio: 'ignore',
  })
  await once(collector, 'spawn')
  const isUp = async (): Promise<boolean> => {
    const headers = { 'content-type': 'application/json' }
    return fetch(`${endpoint}/v1/traces`, { method: 'POST', headers, body: '{}' }).then(
      ({ ok }) => ok,
      () => false,
    )
  }
  const late = Date.now() + UP_MS
  while (!(await isUp())) {
    if (Date.now() > late) throw new Error(`the Collector does not serve after ${UP_MS} ms`)
    await delay(50)
  }
  authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: Object.fromEntries(HOPS.map((hop) => [hop, {}])),
  })
})

afterAll(async () => {
  collector?.kill()
  await authority?.close()
  await rm(folder, { recursive: true, force: true })
})

async function start(hop: Hop, next: Pick<Running, 'origin'> | null): Promise<Running> {
  const identity = await SPIREProvider.connect({ address: authority.sockets[hop] as string })
  const telemetry = setupTelemetry({
    serviceName: hop,
    exporter: 'otlp',
    endpoint,
    logger: new RecordingLogger(),
  })
  const callee = HOPS[HOPS.indexOf(hop) + 1]
  const kest = createKest({
    identity,
    engine: new MockPolicyEngine(),
    trust: createX509KeySource({ 'example.org': authority.bundle() }),
    logger: new RecordingLogger(),
    telemetry,
    policyTimeoutMs: 60_000,
    ...(next === null || callee === undefined
      ? { outcomes: true }
      : { receipts: { mode: 'require', from: { [next.origin]: idOf(callee) } } }),
  })
  const app = fastify()
  await app.register(kestFastify, { kest, policy: 'all', ...(hop === 'hop1' && { origin: 'internet' }) })
  const call = next === null ? null : createKestFetch({ kest, propagateTo: [next.origin] })
  app.get('/work', async (request: { query: { alone?: string } }) => {
    if (call === null || request.query.alone !== undefined) return { by: hop }
    const response = await call(`${next?.origin}/work`)
    return { by: hop, next: await response.json() }
  })
  const origin = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    kest,
    origin,
    telemetry,
    stop: async () => {
      await app.close()
      await kest.close()
      await telemetry.shutdown()
    },
  }
}

/** Whoever has hop2 has its sockets: what stands in front of it does as the attacker likes with its answers. */
async function inFrontOf(origin: string): Promise<{ readonly origin: string; close(): void }> {
  const server = createServer((incoming, answer) => {
    const { url, headers } = incoming
    request(`${origin}${url}`, { headers, agent: false }, async (response) => {
      const receipt = response.headers['kest-receipt']
      const told = receipt === undefined ? undefined : await tamper(String(receipt))
      answer.writeHead(response.statusCode ?? 500, {
        ...response.headers,
        ...(told && { 'kest-receipt': told }),
      })
      response.pipe(answer)
    }).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

async function startAll(): Promise<Record<Hop, Running>> {
  const hop3 = await start('hop3', null)
  const hop2 = await start('hop2', hop3)
  const front = await inFrontOf(hop2.origin)
  const hop1 = await start('hop1', front)
  const stop = async (): Promise<void> => {
    await hop1.stop()
    front.close()
  }
  return { hop1: { ...hop1, stop }, hop2, hop3 }
}

async function ask({ hop1 }: Record<Hop, Running>, query = ''): Promise<number> {
  const response = await fetch(`${hop1.origin}/work${query}`)
  await response.arrayBuffer()
  return response.status
}

async function stopAll(hops: Record<Hop, Running>): Promise<void> {
  for (const hop of HOPS) await hops[hop].stop()
}

type Line = { resourceSpans: { resource: object; scopeSpans: { spans: object[] }[] }[] }

/** The Collector's file without what the attacker takes out of it. */
async function without(isDropped: (span: Span) => boolean): Promise<string> {
  const kept: string[] = []
  for (const text of (await readFile(spansFile, 'utf8')).split('\n')) {
    if (text === '') continue
    const line = JSON.parse(text) as Line
    for (const { resource, scopeSpans } of line.resourceSpans)
      for (const scope of scopeSpans)
        scope.spans = scope.spans.filter((span) => !isDropped(readSpan(span, resource)))
    kept.push(JSON.stringify(line))
  }
  const file = join(await mkdtemp(join(folder, 'attack-')), 'spans.jsonl')
  await writeFile(file, `${kept.join('\n')}\n`)
  return file
}

function readSpan(span: object, resource: object): Span {
  const attribute = (of: object, key: string): string | undefined =>
    (of as { attributes?: { key: string; value: { stringValue?: string } }[] }).attributes?.find(
      (one) => one.key === key,
    )?.value.stringValue
  const jws = attribute(span, 'kest.signature') ?? attribute(span, 'kest.receipt')
  const payload = jws?.split('.')[1]
  const entry = payload === undefined ? null : JSON.parse(Buffer.from(payload, 'base64url').toString())
  return {
    service: attribute(resource, 'service.name') ?? '',
    name: (span as { name: string }).name,
    traceId: entry?.labels.trace_id ?? '',
    entry,
  }
}

/** What an audit finds, and whom it names. */
async function audited(file: string): Promise<{ readonly codes: readonly string[]; readonly words: string }> {
  await using audit = new Audit({ trust: createX509KeySource({ 'example.org': authority.bundle() }) })
  await audit.read(readFiles([file]))
  const findings: { code: string; message: string }[] = []
  for await (const trace of audit.traces()) findings.push(...trace.findings)
  findings.push(...audit.summary().general)
  const told = findings.filter(({ code }) => code !== 'root')
  return { codes: told.map(({ code }) => code), words: told.map(({ message }) => message).join('\n') }
}

/** Traces in the order in which they began. */
async function traces(): Promise<string[]> {
  const found = new Set<string>()
  for (const text of (await readFile(spansFile, 'utf8')).split('\n')) {
    if (text === '') continue
    for (const { resource, scopeSpans } of (JSON.parse(text) as Line).resourceSpans)
      for (const { spans } of scopeSpans)
        for (const span of spans) {
          const { service, traceId } = readSpan(span, resource)
          if (service === 'hop1') found.add(traceId)
        }
  }
  return [...found]
}

describe('hop2 is malicious, and the file of the Collector is in its hands', () => {
  let first: string
  let last: string
  let afterRestart: string
  const CONTRADICTED = `${idOf('hop1')} has signed that it holds`

  beforeAll(async () => {
    const before = await startAll()
    for (let n = 0; n < 3; n++) expect(await ask(before)).toBe(200)
    await stopAll(before)
    const ofFirst = await traces()
    ;[first = '', , last = ''] = ofFirst
    const after = await startAll()
    expect(await ask(after)).toBe(200)
    await stopAll(after)
    afterRestart = (await traces()).at(-1) ?? ''
    expect(new Set([first, last, afterRestart]).size).toBe(3)
  })

  it('K-RECEIPT what nobody has touched is sound', async () => {
    expect(await audited(await without(() => false))).toEqual({ codes: [], words: '' })
  })

  it.each<[string, (span: Span) => boolean]>([
    ['the spans of hop2', ({ service, traceId }) => service === 'hop2' && traceId === first],
    ['the spans of hop2 and hop3', ({ service, traceId }) => service !== 'hop1' && traceId === first],
    ['the last spans of both', ({ service, traceId }) => service !== 'hop1' && traceId === last],
    [
      'the last spans of both, and the receipt beside them',
      ({ service, traceId, name }) => traceId === last && (service !== 'hop1' || name === 'kest.receipt'),
    ],
    [
      'all that both made before they were started anew',
      ({ service, traceId }) => service !== 'hop1' && traceId !== afterRestart,
    ],
    ['all that both ever made', ({ service }) => service !== 'hop1'],
  ])('K-RECEIPT without %s, it is found that hop1 and hop2 contradict each other', async (_, isDropped) => {
    const { codes, words } = await audited(await without(isDropped))
    expect(codes).toContain('receipt-without-span')
    expect(words).toContain(CONTRADICTED)
  })

  it('K-RECEIPT without the spans of hop3, it is found that hop2 and hop3 contradict each other', async () => {
    const { codes, words } = await audited(
      await without(({ service, traceId }) => service === 'hop3' && traceId === last),
    )
    expect(codes).toContain('receipt-without-span')
    expect(words).toContain(`${idOf('hop2')} has signed that it holds`)
    expect(words).toContain(`of ${idOf('hop3')}`)
  })

  describe('what is left, and SECURITY.md lists', () => {
    it('K-RECEIPT neighbours that collude: where hop1 drops what it holds, and its last request, nobody contradicts', async () => {
      const { codes } = await audited(await without(({ traceId }) => traceId === afterRestart))
      expect(codes).toEqual([])
    })

    it('K-RECEIPT a last hop whose one neighbour drops what it holds: hop2 hides what hop3 did last', async () => {
      const { codes } = await audited(
        await without(
          ({ service, traceId, name }) =>
            traceId === afterRestart &&
            (service === 'hop3' ||
              (service === 'hop2' && (name === 'kest.receipt' || name.endsWith('#end')))),
        ),
      )
      expect(codes).toEqual([])
    })

    it('K-RECEIPT the edge itself: what it answers alone has no neighbour', async () => {
      const hops = await startAll()
      const known = new Set(await traces())
      expect(await ask(hops, '?alone=1')).toBe(200)
      await stopAll(hops)
      const alone = (await traces()).find((one) => !known.has(one))
      expect(alone).toBeDefined()
      const { codes } = await audited(await without(({ traceId }) => traceId === alone))
      expect(codes).toEqual([])
    })
  })

  describe('answers that are not its own', () => {
    it('K-RECEIPT receipts that are swapped between calls at once fail both', async () => {
      const hops = await startAll()
      const waiting: { readonly receipt: string; readonly answer: (other: string) => void }[] = []
      tamper = (receipt) =>
        new Promise((answer) => {
          waiting.push({ receipt, answer })
          const [one, two] = waiting
          if (one === undefined || two === undefined) return
          one.answer(two.receipt)
          two.answer(one.receipt)
        })
      try {
        const statuses = await Promise.all([ask(hops), ask(hops)])
        expect(statuses).toEqual([500, 500])
      } finally {
        tamper = (receipt) => receipt
        await stopAll(hops)
      }
    })

    it('K-RECEIPT the receipt of another service fails the call', async () => {
      const hops = await startAll()
      tamper = (receipt) => {
        const entry = JSON.parse(Buffer.from(receipt.split('.')[1] ?? '', 'base64url').toString())
        entry.labels.principal = idOf('hop3')
        const payload = Buffer.from(JSON.stringify(entry)).toString('base64url')
        const [header, , signature] = receipt.split('.')
        return `${header}.${payload}.${signature}`
      }
      try {
        expect(await ask(hops)).toBe(500)
      } finally {
        tamper = (receipt) => receipt
        await stopAll(hops)
      }
    })
  })
})
