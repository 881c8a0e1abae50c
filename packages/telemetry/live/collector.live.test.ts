import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Audit, readFiles } from '@kest/audit'
import { createKeySource } from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { checkOtlp, setupTelemetry, type Telemetry } from '@kest/telemetry'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../tests/support/folder.js'
import { kestWith, root } from '../tests/support/kest.js'

const CONFIGURATION = fileURLToPath(new URL('../../../docker/collector/config.yaml', import.meta.url))
const UP_MS = 30_000
const OPERATIONS = 600
const WORKLOAD = 'spiffe://telemetry.test/orders'

it.each(['http/json', 'http/protobuf'] as const)(
  'NF-OBS-03 a Collector that is killed and comes back has every record, or the audit says which process lost some: %s',
  async (protocol) => {
    const file = join(temporaryFolder(), 'spans.jsonl')
    const port = await freePort()
    let collector = await startCollector(port, file)
    await checkOtlp({ endpoint: `http://127.0.0.1:${port}`, protocol })
    const telemetry = setupTelemetry({
      serviceName: 'orders',
      endpoint: `http://127.0.0.1:${port}`,
      protocol,
      exportDelayMs: 5,
      flushTimeoutMs: UP_MS,
      logger: new RecordingLogger(),
    })
    const kest = kestWith(telemetry)

    const signed: string[] = []
    for (let n = 0; n < OPERATIONS; n++) {
      signed.push((await kest.begin(root)).entry.hash)
      if (n === 0) await untilWritten(telemetry, file)
      if (n % 20 === 0) await delay(5)
      if (n === OPERATIONS / 3) await collector.kill()
      if (n === (OPERATIONS * 2) / 3) collector = await startCollector(port, file)
    }
    await telemetry.shutdown()
    expect(telemetry.counts).toEqual({
      accepted: OPERATIONS,
      exported: OPERATIONS,
      dropped: { overflow: 0, denial: 0, refused: 0, unwritable: 0, shutdown: 0 },
    })
    await collector.end()

    const identity = new MockIdentityProvider(WORKLOAD)
    await using audit = new Audit({ trust: createKeySource({ [WORKLOAD]: [identity.getPublicJwk()] }) })
    await audit.read(readFiles([file]))
    const found = new Set<string>()
    for await (const { verdict, entries } of audit.traces()) {
      expect(verdict).toBe('verified')
      for (const { hash } of entries) found.add(hash)
    }
    // The Collector answers before it has written: what it had not when it was killed is gone, and is missed.
    const missing = signed.filter((hash) => !found.has(hash))
    const gaps = audit.summary().findings.get('sequence-gap') ?? 0
    expect(gaps > 0).toBe(missing.length > 0)
    expect(found.size).toBe(OPERATIONS - missing.length)
    expect(missing.length).toBeLessThan(OPERATIONS / 2)
  },
)

/** So that the first entry of the process is there, and what is missing after it is a gap. */
async function untilWritten(telemetry: Telemetry, file: string): Promise<void> {
  await telemetry.forceFlush()
  const late = Date.now() + UP_MS
  while (!existsSync(file) || statSync(file).size === 0) {
    if (Date.now() > late) throw new Error(`the Collector wrote nothing within ${UP_MS} ms`)
    await delay(50)
  }
}

/** Ends with the test, or before. */
async function startCollector(port: number, file: string) {
  const env = { ...process.env, KEST_COLLECTOR_LISTEN: `127.0.0.1:${port}`, KEST_COLLECTOR_FILE: file }
  const child = spawn('otelcol', ['--config', CONFIGURATION], { env, stdio: 'ignore' })
  try {
    await once(child, 'spawn')
  } catch (cause) {
    throw new Error('otelcol is not on PATH: scripts/live-tools.sh installs it', { cause })
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  onTestFinished(() => end('SIGKILL'))
  await untilServes(`http://127.0.0.1:${port}/`)
  return { kill: () => end('SIGKILL'), end: () => end('SIGTERM') }
}

async function untilServes(url: string): Promise<void> {
  const late = Date.now() + UP_MS
  for (;;) {
    try {
      await fetch(url)
      return
    } catch (cause) {
      if (Date.now() > late) throw new Error(`${url} does not serve after ${UP_MS} ms`, { cause })
    }
    await delay(50)
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
