import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import * as zlib from 'node:zlib'
import { createKeySource } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'
import { expect, it, onTestFinished } from 'vitest'
import { Audit, OtlpReceiver, readFiles } from '../src/index.js'
import { EVERYBODY, makeEntry } from '../src/testing/make-entry.js'
import { otlpLine, spanOf } from '../src/testing/make-span.js'

const UP_MS = 30_000
const ENTRIES = 50

it.each(['proto', 'json'] as const)(
  'K-AUDIT a Collector hands on to an audit that listens: %s',
  async (encoding) => {
    const identity = new MockIdentityProvider('orders')
    const trust = createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })
    const receiver = await OtlpReceiver.listen({ port: 0 })
    onTestFinished(() => receiver.close())
    await using audit = new Audit({ trust, roots: EVERYBODY })
    const read = audit.read(receiver)
    // One after the other: what it is told to send later, as too much comes at once, it drops when it is ended.
    const sending_queue = { num_consumers: 1 }
    const collector = await startCollector({
      otlp_http: { traces_endpoint: receiver.url, encoding, sending_queue },
    })

    for (let n = 0; n < ENTRIES; n++) {
      const made = makeEntry(identity.current(), [], { timestamp_ms: Date.now() })
      const body = otlpLine('orders', [spanOf(made, [made])])
      const headers = { 'content-type': 'application/json' }
      expect((await fetch(collector.url, { method: 'POST', body, headers })).status).toBe(200)
    }
    // It has handed on everything when it has ended.
    await collector.end()
    await receiver.close()
    await read

    let verified = 0
    for await (const { verdict, time, findings } of audit.traces()) {
      expect({ verdict, time, findings }).toEqual({ verdict: 'verified', time: 'witnessed', findings: [] })
      verified++
    }
    expect(verified).toBe(ENTRIES)
    expect(audit.summary().general).toEqual([])
  },
)

const zstd =
  'createZstdDecompress' in zlib ? [{ compression: 'zstd' }, { format: 'proto', compression: 'zstd' }] : []

it.each([{}, { format: 'proto' }, ...zstd])(
  'K-AUDIT what a Collector writes to a file is read: %o',
  async (options) => {
    const identity = new MockIdentityProvider('orders')
    const path = join(temporaryFolder(), 'spans')
    const collector = await startCollector({ file: { path, ...options } })
    const sent: string[] = []
    for (let n = 0; n < ENTRIES; n++) {
      const made = makeEntry(identity.current(), [])
      sent.push(made.jws)
      const body = otlpLine('orders', [spanOf(made)])
      const headers = { 'content-type': 'application/json' }
      expect((await fetch(collector.url, { method: 'POST', body, headers })).status).toBe(200)
    }
    await collector.end()
    const read: unknown[] = []
    for await (const { spans, findings } of readFiles([path])) {
      expect(findings).toEqual([])
      read.push(...spans.map(({ claims }) => claims.signature))
    }
    expect(read).toEqual(sent)
  },
)

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'kest-audit-live-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function startCollector(exporters: Readonly<Record<string, object>>) {
  const folder = temporaryFolder()
  const listen = `127.0.0.1:${await freePort()}`
  const file = join(folder, 'config.json')
  const pipeline = { receivers: ['otlp'], exporters: Object.keys(exporters) }
  writeFileSync(
    file,
    JSON.stringify({
      receivers: { otlp: { protocols: { http: { endpoint: listen } } } },
      exporters,
      service: { telemetry: { metrics: { level: 'none' } }, pipelines: { traces: pipeline } },
    }),
  )
  const child = spawn('otelcol', ['--config', file], { stdio: 'ignore' })
  try {
    await once(child, 'spawn')
  } catch (cause) {
    throw new Error('otelcol is not on PATH: scripts/live-tools.sh installs it', { cause })
  }
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  }
  onTestFinished(end)
  const url = `http://${listen}/v1/traces`
  for (const late = Date.now() + UP_MS; ; await delay(50)) {
    try {
      await fetch(url)
      return { url, end }
    } catch (cause) {
      if (Date.now() > late) throw new Error(`the Collector does not serve after ${UP_MS} ms`, { cause })
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
