import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Audit, readFiles } from '../../packages/audit/dist/index.js'
import { createDevAuthority } from '../../packages/spiffe/dist/dev-authority/index.js'
import { createX509KeySource } from '../../packages/spiffe/dist/index.js'
import { missingSpirePrograms, startSpire } from '../../packages/spiffe/live/support/spire.js'
import { freePort } from '../brokers/free-port.js'

const CONFIGURATION = fileURLToPath(new URL('../../docker/collector/config.yaml', import.meta.url))
const PROGRAM = fileURLToPath(new URL('./receipt-hop.mjs', import.meta.url))
const UP_MS = 120_000
/** It tells processes apart by their users, which only root can choose. */
const isSpireThere = missingSpirePrograms().length === 0 && process.getuid?.() === 0
const GIVEN = isSpireThere
  ? 'SPIRE'
  : 'the development authority: SPIRE is not on PATH, or the tests do not run as root'
const HOPS = ['hop1', 'hop2', 'hop3'] as const
type Hop = (typeof HOPS)[number]
const idOf = (hop: Hop): string => `spiffe://example.org/${hop}`

/** A process of a hop. */
interface Running {
  readonly origin: string
  /** Closes its server, and waits until its spans are with the Collector. */
  stop(): Promise<void>
}

interface Span {
  readonly service: string
  readonly name: string
  readonly traceId: string
  readonly jws: string | undefined
  /** Of an entry or a receipt: what is signed. */
  readonly entry: { readonly operation: string; readonly labels: Readonly<Record<string, string>> } | null
}

let folder: string
let collector: ChildProcess
let endpoint: string
let spansFile: string
let identities: Identities
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
  identities = await (isSpireThere ? ofSpire() : ofDevAuthority())
})

afterAll(async () => {
  collector?.kill()
  await identities?.close()
  await rm(folder, { recursive: true, force: true })
})

/** Who says who a process is. */
interface Identities {
  readonly addressOf: (hop: Hop) => string
  /** The user that it runs as; `null`: whoever runs the tests. */
  readonly uidOf: (hop: Hop) => number | null
  bundle(): Promise<TrustBundle>
  close(): Promise<void>
}

type TrustBundle = Parameters<typeof createX509KeySource>[0]

/** SPIRE tells processes apart by their users. */
async function ofSpire(): Promise<Identities> {
  const uidOf = (hop: Hop): number => 64_001 + HOPS.indexOf(hop)
  const programs: AsyncDisposable[] = []
  const registrations = HOPS.map((hop) => ({ id: idOf(hop), uid: uidOf(hop), ttl: 3600 }))
  const spireFolder = join(folder, 'spire')
  await mkdir(spireFolder)
  await chmod(folder, 0o711)
  const spire = await startSpire(spireFolder, registrations, (program) => programs.unshift(program))
  return {
    addressOf: () => spire.address,
    uidOf,
    bundle: async () => ({ 'example.org': JSON.parse(await spire.bundle()) }),
    close: async () => {
      for (const program of programs) await program[Symbol.asyncDispose]()
    },
  }
}

async function ofDevAuthority(): Promise<Identities> {
  const workloads = Object.fromEntries(HOPS.map((hop) => [hop, {}]))
  const authority = await createDevAuthority({ trustDomain: 'example.org', workloads })
  return {
    addressOf: (hop) => authority.sockets[hop] as string,
    uidOf: () => null,
    bundle: async () => ({ 'example.org': authority.bundle() }),
    close: () => authority.close(),
  }
}

/** A process that has its identity, and waits to be told whom it calls. */
async function start(hop: Hop): Promise<{ calling(next: string | null): Promise<Running> }> {
  const callee = HOPS[HOPS.indexOf(hop) + 1]
  const options = {
    hop,
    id: idOf(hop),
    address: identities.addressOf(hop),
    uid: identities.uidOf(hop),
    endpoint,
    callee: callee === undefined ? null : idOf(callee),
  }
  const child = fork(PROGRAM, [JSON.stringify(options)], { execArgv: [] })
  const ended = once(child, 'exit')
  await told(child, ended)
  return {
    async calling(next) {
      child.send({ next })
      const { origin } = await told<{ origin: string }>(child, ended)
      const stop = async (): Promise<void> => {
        child.send({ stop: true })
        await ended
      }
      return { origin, stop }
    },
  }
}

async function told<T>(child: ChildProcess, ended: Promise<unknown>): Promise<T> {
  const failed = ended.then((): never => {
    throw new Error(`a hop has ended with ${child.exitCode ?? child.signalCode}`)
  })
  const [message] = await Promise.race([once(child, 'message'), failed])
  return message as T
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
  const [first, second, third] = await Promise.all([start('hop1'), start('hop2'), start('hop3')])
  const hop3 = await third.calling(null)
  const hop2 = await second.calling(hop3.origin)
  const front = await inFrontOf(hop2.origin)
  const hop1 = await first.calling(front.origin)
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
    jws,
    entry,
  }
}

/** What an audit finds, and whom it names. */
async function audited(file: string): Promise<{ readonly codes: readonly string[]; readonly words: string }> {
  await using audit = new Audit({ trust: createX509KeySource(await identities.bundle()) })
  await audit.read(readFiles([file]))
  const findings: { code: string; message: string }[] = []
  for await (const trace of audit.traces()) findings.push(...trace.findings)
  findings.push(...audit.summary().general)
  const told = findings.filter(({ code }) => code !== 'root')
  return { codes: told.map(({ code }) => code), words: told.map(({ message }) => message).join('\n') }
}

/** The same, under somebody else's name, whose key signs it not. */
function renamed(jws: string, principal: string): string {
  const [header, payload = '', signature] = jws.split('.')
  const entry = JSON.parse(Buffer.from(payload, 'base64url').toString())
  entry.labels.principal = principal
  return `${header}.${Buffer.from(JSON.stringify(entry)).toString('base64url')}.${signature}`
}

/** All that the Collector has. */
async function spansInFile(): Promise<Span[]> {
  const lines = (await readFile(spansFile, 'utf8')).split('\n').filter((text) => text !== '')
  return lines.flatMap((text) =>
    (JSON.parse(text) as Line).resourceSpans.flatMap(({ resource, scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) => spans.map((span) => readSpan(span, resource))),
    ),
  )
}

/** Traces in the order in which they began. */
async function traces(): Promise<string[]> {
  const own = (await spansInFile()).filter(({ service }) => service === 'hop1')
  return [...new Set(own.map(({ traceId }) => traceId))]
}

describe(`hop2 is malicious, and the file of the Collector is in its hands; identities are of ${GIVEN}`, () => {
  let first: string
  let last: string
  let afterRestart: string
  /** The third processes of each: for what comes after the others were looked at. */
  let again: Record<Hop, Running>
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
    again = await startAll()
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
  })

  describe('answers that are not its own', () => {
    it('K-RECEIPT receipts that are swapped between calls at once fail both', async () => {
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
        const statuses = await Promise.all([ask(again), ask(again)])
        expect(statuses).toEqual([500, 500])
      } finally {
        tamper = (receipt) => receipt
      }
    })

    it.each([
      ['as it is', (ofAnother: string) => ofAnother],
      ["with the callee's name in it", (ofAnother: string) => renamed(ofAnother, idOf('hop2'))],
    ])('K-RECEIPT the receipt of another service fails the call: %s', async (_, toAnswer) => {
      const held = (await spansInFile()).find(
        ({ service, name }) => service === 'hop2' && name === 'kest.receipt',
      )
      expect(held?.entry?.labels['principal']).toBe(idOf('hop3'))
      tamper = () => toAnswer(held?.jws ?? '')
      try {
        expect(await ask(again)).toBe(500)
      } finally {
        tamper = (receipt) => receipt
      }
    })
  })

  describe('what is left, of the first hop', () => {
    it('K-RECEIPT the edge itself: what it answers alone has no neighbour', async () => {
      expect(await ask(again, '?alone=1')).toBe(200)
      await stopAll(again)
      const others = (await spansInFile()).filter(({ service }) => service !== 'hop1')
      const alone = (await traces()).filter((one) => others.every(({ traceId }) => traceId !== one))
      expect(alone).toHaveLength(1)
      const { codes } = await audited(await without(({ traceId }) => alone.includes(traceId)))
      expect(codes).toEqual([])
    })
  })
})
