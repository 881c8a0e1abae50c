import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createKeySource } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'
import { expect, it, onTestFinished } from 'vitest'
import { Audit, OtlpReceiver } from '../src/index.js'
import { makeEntry } from '../src/testing/make-entry.js'
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
    await using audit = new Audit({ trust })
    const read = audit.read(receiver)
    const collector = await startCollector(receiver.url, encoding)

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

async function startCollector(traces: string, encoding: 'proto' | 'json') {
  const folder = mkdtempSync(join(tmpdir(), 'kest-audit-live-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const listen = `127.0.0.1:${await freePort()}`
  const file = join(folder, 'config.json')
  const pipeline = { receivers: ['otlp'], exporters: ['otlp_http'] }
  writeFileSync(
    file,
    JSON.stringify({
      receivers: { otlp: { protocols: { http: { endpoint: listen } } } },
      // One after the other: what it is told to send later, as too much comes at once, it drops when it is ended.
      exporters: { otlp_http: { traces_endpoint: traces, encoding, sending_queue: { num_consumers: 1 } } },
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
