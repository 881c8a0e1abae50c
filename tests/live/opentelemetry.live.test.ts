import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createDevAuthority, type DevAuthority } from '../../packages/spiffe/dist/dev-authority/index.js'
import { packageManagerEnv, readJson, root } from '../../scripts/workspace.mjs'
import { freePort } from '../brokers/free-port.js'
import { showsKest, startServer } from '../outbound/server.js'
import { run } from '../support/run.js'
import { type Registry, startRegistry } from './registry.js'

const EXAMPLE = join(root, 'examples/opentelemetry')
const COLLECTOR = join(root, 'docker/collector/config.yaml')
const UP_MS = 240_000
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

/** What the newest line asks for. */
const forNewest = major > 22 || (major === 22 && minor >= 15)
const NEWEST = ['api', 'auto-instrumentations-node', 'core', 'sdk-node'].map(
  (part) => `@opentelemetry/${part}`,
)

const work = await mkdtemp(join(tmpdir(), 'kest-node-sdk-'))
let registry: Registry
let authority: DevAuthority
beforeAll(async () => {
  const tarballs = join(work, 'tarballs')
  await mkdir(tarballs)
  registry = await startRegistry(tarballs)
  authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: { orders: {}, stock: {}, prices: {} },
  })
})
afterAll(async () => {
  registry?.close()
  await authority?.close()
  await rm(work, { recursive: true, force: true })
})

interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly service: string
}

describe.each(['the line before', 'the newest'])('under NodeSDK and all its instrumentations: %s', (line) => {
  const newest = line === 'the newest'
  if (newest && !forNewest)
    process.stderr.write(`${line} of OpenTelemetry does not run on ${process.version}\n`)

  it.skipIf(newest && !forNewest)(
    'K-SPAN K-SCOPE three hops are one trace in a Collector, with Kest’s spans in it, and a third party sees nothing of Kest',
    async () => {
      const folder = await installed(newest)
      const spans = join(folder, 'spans.jsonl')
      const endpoint = await startCollector(spans)
      const rates = await startServer((_, response) => void response.end('{}'))
      onTestFinished(() => rates.close())

      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, RATES_URL: rates.origin }
      const prices = await startService('prices', folder, env)
      const stock = await startService('stock', folder, { ...env, PRICES_URL: prices.url })
      const orders = await startService('orders', folder, { ...env, STOCK_URL: stock.url })
      const answer = await fetch(`${orders.url}/orders/1`)
      expect(await answer.json()).toEqual({ order: '1', stock: 7, price: 42 })
      for (const { child } of [orders, stock, prices]) await end(child)

      expect(rates.received.map(({ url }) => url).sort()).toEqual(['/by-axios', '/by-fetch'])
      expect(rates.received.filter(showsKest)).toEqual([])
      const collected = await untilThere(spans)
      const [traceId] = new Set(collected.filter(isAudit).map((span) => span.traceId))
      const trace = collected.filter((span) => span.traceId === traceId)
      expect(trace.filter(isAudit).map(({ service, name }) => [service, name])).toEqual(
        expect.arrayContaining([
          ['orders', 'kest.verified.GET /orders/:id'],
          ['stock', 'kest.verified.GET /stock/:id'],
          ['prices', 'kest.verified.GET /prices/:id'],
        ]),
      )
      // Each is within what instrumentation has made of its request.
      const ids = new Map(trace.map((span) => [span.spanId, span]))
      for (const span of trace.filter(isAudit)) {
        expect(ids.get(span.parentSpanId ?? '')?.service).toBe(span.service)
      }
      for (const { headers } of rates.received) expect(headers['traceparent']).toContain(traceId)
    },
  )
})

const isAudit = ({ name }: Span): boolean => name.startsWith('kest.verified.')

/** The example as somebody would have it: with these packages, and a line of OpenTelemetry. */
async function installed(newest: boolean): Promise<string> {
  const folder = join(work, newest ? 'newest' : 'before')
  const { dependencies } = readJson(join(EXAMPLE, 'package.json')) as {
    dependencies: Record<string, string>
  }
  const wanted = Object.keys(dependencies).map((name) => {
    if (name.startsWith('@kest/')) return name
    if (newest && NEWEST.includes(name)) return `${name}@latest`
    const { version } = readJson(join(EXAMPLE, 'node_modules', name, 'package.json')) as { version: string }
    return `${name}@${version}`
  })
  await mkdir(folder)
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  await cp(join(EXAMPLE, 'dist'), join(folder, 'dist'), { recursive: true })
  const env = { ...packageManagerEnv(), ...registry.env }
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...wanted], folder, env)
  return folder
}

async function startService(
  name: keyof DevAuthority['sockets'],
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly url: string; readonly child: ChildProcess }> {
  const child = fork(join(folder, `dist/${name}.js`), {
    execArgv: ['--import', './dist/instrumentation.js'],
    cwd: folder,
    env: {
      ...process.env,
      ...env,
      OTEL_SERVICE_NAME: String(name),
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_LOGS_EXPORTER: 'none',
      SPIFFE_ENDPOINT_SOCKET: authority.sockets[name],
    },
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const said = await Promise.race([once(child, 'message'), once(child, 'exit')])
  if (typeof said[0] !== 'string') throw new Error(`${name} ended before it served: ${said}`)
  return { url: said[0], child }
}

/** It exports what it has before it ends. */
async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

/** Ends with the test. */
async function startCollector(file: string): Promise<string> {
  const port = await freePort()
  const child = spawn('otelcol', ['--config', COLLECTOR], {
    env: { ...process.env, KEST_COLLECTOR_LISTEN: `127.0.0.1:${port}`, KEST_COLLECTOR_FILE: file },
    stdio: 'ignore',
  })
  await once(child, 'spawn')
  onTestFinished(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const endpoint = `http://127.0.0.1:${port}`
  await until(() => fetch(endpoint))
  return endpoint
}

/** What the Collector has written, once the audit spans of all three are among it. */
function untilThere(file: string): Promise<Span[]> {
  return until(async () => {
    const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
    const spans = lines.flatMap((line) => spansOf(JSON.parse(line)))
    expect(new Set(spans.filter(isAudit).map(({ service }) => service)).size).toBe(3)
    expect(new Set(spans.filter((span) => !isAudit(span)).map(({ service }) => service)).size).toBe(3)
    return spans
  })
}

interface Exported {
  readonly resourceSpans: readonly {
    readonly resource: {
      readonly attributes: readonly {
        readonly key: string
        readonly value: { readonly stringValue?: string }
      }[]
    }
    readonly scopeSpans: readonly { readonly spans: readonly Omit<Span, 'service'>[] }[]
  }[]
}

function spansOf({ resourceSpans }: Exported): Span[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? ''
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...span, service })))
  })
}

async function until<T>(ask: () => Promise<T>): Promise<T> {
  const late = Date.now() + UP_MS
  for (;;) {
    try {
      return await ask()
    } catch (cause) {
      if (Date.now() > late) throw new Error(`not within ${UP_MS} ms`, { cause })
    }
    await delay(50)
  }
}
