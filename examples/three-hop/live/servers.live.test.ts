import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { runMain } from '../tests/support/run-main.js'

const POLICIES = fileURLToPath(new URL('../policies', import.meta.url))
const COLLECTOR = fileURLToPath(new URL('../../../docker/collector/config.yaml', import.meta.url))
const UP_MS = 240_000

it('F-PE-03 NF-OBS-03 runs with a real OPA and a real Collector', async () => {
  const out = await mkdtemp(join(tmpdir(), 'kest-three-hop-'))
  onTestFinished(() => rm(out, { recursive: true }))
  const spans = join(out, 'collected.jsonl')
  const [opaPort, collectorPort] = [await freePort(), await freePort()]
  const rego = (await readdir(POLICIES)).filter((name) => /^hop\d\.rego$/.test(name))
  const opa = ['run', '--server', '--skip-version-check', '--log-level', 'error']
  await start('opa', [...opa, '--addr', `127.0.0.1:${opaPort}`, ...rego.map((name) => join(POLICIES, name))])
  await start('otelcol', ['--config', COLLECTOR], {
    KEST_COLLECTOR_LISTEN: `127.0.0.1:${collectorPort}`,
    KEST_COLLECTOR_FILE: spans,
  })
  await untilServes(`http://127.0.0.1:${opaPort}/health`)
  await untilServes(`http://127.0.0.1:${collectorPort}/`)

  const run = runMain([out, '--spans', spans], {
    OPA_URL: `http://127.0.0.1:${opaPort}`,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collectorPort}`,
  })
  const { code, stdout, stderr } = await run.ended
  expect(stderr).toBe('')
  expect(stdout).toContain(`Policies: Rego, by the OPA at http://127.0.0.1:${opaPort}`)
  expect(stdout).toContain('SUCCESS: Distributed Merkle Lineage Verified.')
  expect(stdout).toContain('/hop3 has signed: GET /confidential: ERR_KEST_DENIED')
  expect(code).toBe(0)
  expect(await readdir(join(out, 'hop1.spans'))).toEqual([])
})

/** Ends with the test. */
async function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<void> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: 'ignore' })
  try {
    await once(child, 'spawn')
  } catch (cause) {
    throw new Error(`${program} is not on PATH: scripts/live-tools.sh installs it`, { cause })
  }
  onTestFinished(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
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
