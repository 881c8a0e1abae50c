import { copyFileSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Audit, readFiles } from '@kest/audit'
import { createKeySource } from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { expect, it } from 'vitest'
import { setupTelemetry } from '../src/index.js'
import { temporaryFolder } from './support/folder.js'
import { kestWith, refused, root } from './support/kest.js'

const identity = new MockIdentityProvider('spiffe://telemetry.test/orders')
const trust = createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })

async function summaryOf(path: string) {
  await using audit = new Audit({ trust })
  await audit.read(readFiles([path]))
  for await (const report of audit.traces()) expect(report.findings).toEqual([])
  return audit.summary()
}

it.each(['always', 'interval', 'never'] as const)(
  'K-AUDIT what was written to SQLite, forced to the disk %s, is proven from it',
  async (fsync) => {
    const file = join(temporaryFolder(), 'audit.db')
    const telemetry = setupTelemetry({
      serviceName: 'orders',
      exporter: 'sqlite',
      endpoint: file,
      fsync,
      waitTimeoutMs: 60_000,
      flushTimeoutMs: 60_000,
    })
    const kest = kestWith(telemetry)
    for (let i = 0; i < 100; i++) await kest.begin(root)
    await expect(kest.begin(refused)).rejects.toThrow()
    await telemetry.forceFlush()
    const copy = join(temporaryFolder(), 'copy.db')
    // The log first: what is moved from it into the file meanwhile is then in both.
    for (const end of ['-wal', '']) if (existsSync(file + end)) copyFileSync(file + end, copy + end)
    await telemetry.shutdown()
    for (const path of [file, copy]) {
      expect(await summaryOf(path)).toMatchObject({ spans: 101, entries: 100, denials: 1 })
    }
  },
)

it.each([['the file'], ['the file and its log', '-wal', '-shm']])(
  'K-AUDIT what was not acknowledged before somebody deleted %s is proven from another',
  async (_, ...ends) => {
    const file = join(temporaryFolder(), 'audit.db')
    const logger = new RecordingLogger()
    const [first, second] = [1, 2].map(() =>
      setupTelemetry({
        serviceName: 'orders',
        exporter: 'sqlite',
        endpoint: file,
        fsync: 'always',
        waitTimeoutMs: 60_000,
        logger,
      }),
    )
    const kests = [kestWith(first), kestWith(second)]
    for (const kest of kests) await kest.begin(root)
    for (const end of ['', ...ends]) rmSync(file + end)
    for (let i = 0; i < 3; i++) for (const kest of kests) await kest.begin(root)
    await first?.shutdown()
    await kests[1]?.begin(root)
    await second?.shutdown()
    expect(await summaryOf(file)).toMatchObject({ spans: 7, verdicts: { verified: 7 } })
    expect(logger.records.filter(({ message }) => /was deleted/.test(message))).toMatchObject([
      { level: 'error', details: { file } },
      { level: 'error', details: { file } },
    ])
  },
)

it('K-AUDIT what was written to a folder is proven from it, whatever the service is called', async () => {
  const folder = temporaryFolder()
  for (const serviceName of ['orders', '.hidden', '../a b']) {
    const telemetry = setupTelemetry({ serviceName, exporter: 'file', endpoint: folder })
    await kestWith(telemetry).begin(root)
    await telemetry.shutdown()
  }
  expect(await summaryOf(folder)).toMatchObject({ spans: 3, verdicts: { verified: 3 } })
})
