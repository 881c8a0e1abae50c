import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { RecordingLogger } from '@kest/core/testing'
import { expect, it, onTestFinished } from 'vitest'
import { SpiffeError, WorkloadApiClient, X509Source } from '../src/index.js'
import { createBackoff } from '../src/workload-api/backoff.js'
import { until } from './support/material.js'

const AUTHORITY = fileURLToPath(new URL('fixtures/authority.mjs', import.meta.url))

it('an agent that hangs, and breaks off nothing, is stale all the same, and recovers', async () => {
  const agent = spawn(process.execPath, [AUTHORITY], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(async () => {
    const ended = once(agent, 'close')
    agent.kill('SIGCONT')
    agent.kill('SIGTERM')
    await ended
  })
  const [line] = (await once(agent.stdout as Readable, 'data')) as [Buffer]
  const source = await X509Source.connect({
    address: line.toString().trim(),
    keepaliveMs: 100,
    connectTimeoutMs: 120_000,
    maxStaleMs: 500,
    backoff: () => createBackoff({ stepMs: 20, maxMs: 100 }),
    logger: new RecordingLogger(),
  })
  onTestFinished(() => source.close())
  // Asked so often, it may be late by itself on a machine that is busy.
  await until(() => source.status().staleSince === null)

  agent.kill('SIGSTOP')
  await until(() => source.status().staleSince !== null)
  expect(source.status().error?.code).toBe('ERR_SPIFFE_UNAVAILABLE')
  await until(() => codeOf(() => source.getX509Bundle('example.org')) === 'ERR_SPIFFE_STALE')

  agent.kill('SIGCONT')
  await until(() => codeOf(() => source.current()) === null)
  expect(source.current().id.path).toBe('/hop1')
})

it.each([0, -1, Number.NaN, 2 ** 31])(
  'refuses to ask every %d ms whether the server lives',
  (keepaliveMs) => {
    expect(() => new WorkloadApiClient({ address: 'unix:///run/agent.sock', keepaliveMs })).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_CONFIG' }),
    )
  },
)

function codeOf(run: () => unknown): string | null {
  try {
    run()
    return null
  } catch (error) {
    return error instanceof SpiffeError ? error.code : String(error)
  }
}
