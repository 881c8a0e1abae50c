import { appendFileSync, existsSync, readFileSync, statSync } from 'node:fs'
import fs from 'node:fs/promises'
import { join } from 'node:path'
import { RecordingLogger } from '@kest/core/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { temporaryFolder } from '../../../tests/support/folder.js'
import { kestWith, root } from '../../../tests/support/kest.js'
import { filesIn, signaturesOf, spansIn } from '../../../tests/support/spans.js'
import type { TelemetryOptions } from '../../setup/options.js'
import { setupTelemetry } from '../../setup/setup-telemetry.js'

function setUp(options: TelemetryOptions = {}) {
  const folder = temporaryFolder()
  const logger = new RecordingLogger()
  const telemetry = setupTelemetry({
    serviceName: 'a service/../x',
    exporter: 'file',
    endpoint: folder,
    logger,
    ...options,
  })
  return { folder, logger, telemetry, kest: kestWith(telemetry) }
}

describe('files', () => {
  it('belong to one process, one span to a line, and are for nobody else to read', async () => {
    const { folder, telemetry, kest } = setUp()
    for (let n = 0; n < 3; n += 1) await kest.begin(root)
    await telemetry.shutdown()
    const [file = '', ...others] = filesIn(folder)
    expect(others).toEqual([])
    expect(file).toMatch(
      new RegExp(`^a_service_\\.\\._x-\\d{8}T\\d{6}Z-${process.pid}-[0-9a-f]{8}\\.0001\\.jsonl$`),
    )
    expect(readFileSync(join(folder, file), 'utf8').split('\n')).toHaveLength(4)
    if (process.platform !== 'win32') expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600)
  })

  it('are not made before there is something to write', async () => {
    const { folder, telemetry } = setUp()
    await telemetry.shutdown()
    expect(filesIn(folder)).toEqual([])
  })

  it('are two for two who write one folder', async () => {
    const first = setUp()
    const second = setUp({ endpoint: first.folder })
    await Promise.all([first, second].map(({ kest }) => kest.begin(root)))
    await Promise.all([first, second].map(({ telemetry }) => telemetry.shutdown()))
    expect(filesIn(first.folder)).toHaveLength(2)
    expect(signaturesOf(spansIn(first.folder))).toHaveLength(2)
  })

  it('are followed by another when they would grow too large', async () => {
    const { folder, telemetry, kest } = setUp({ rotateBytes: 10_000 })
    for (let n = 0; n < 20; n += 1) {
      await kest.begin(root)
      await telemetry.forceFlush()
    }
    await telemetry.shutdown()
    const sizes = filesIn(folder).map((file) => statSync(join(folder, file)).size)
    expect(sizes.length).toBeGreaterThan(3)
    for (const size of sizes) expect(size).toBeLessThanOrEqual(10_000)
    expect(signaturesOf(spansIn(folder))).toHaveLength(20)
  })

  it('are followed by another when they are too old', async () => {
    const { folder, telemetry, kest } = setUp({ rotateMs: 1 })
    for (let n = 0; n < 3; n += 1) {
      await kest.begin(root)
      await telemetry.forceFlush()
      const now = Date.now()
      await expect.poll(() => Date.now()).toBeGreaterThan(now + 1)
    }
    await telemetry.shutdown()
    expect(filesIn(folder).map((file) => file.split('.').at(-2))).toEqual(['0001', '0002', '0003'])
  })

  it('in order of their names are in order of time', async () => {
    const { folder, telemetry, kest } = setUp({ rotateBytes: 1 })
    const hashes: string[] = []
    for (let n = 0; n < 12; n += 1) {
      hashes.push((await kest.begin(root)).entry.hash)
      await telemetry.forceFlush()
    }
    await telemetry.shutdown()
    expect(spansIn(folder).map(({ attributes }) => attributes['kest.chain_tip'])).toEqual(hashes)
  })

  it('a torn line that a killed process left is not continued', async () => {
    const { folder, telemetry, kest } = setUp()
    const torn = join(folder, 'x-20300101T000000Z-1-00000000.0001.jsonl')
    appendFileSync(torn, '{"resourceSpans":[{"resou')
    await kest.begin(root)
    await telemetry.shutdown()
    expect(readFileSync(torn, 'utf8')).toBe('{"resourceSpans":[{"resou')
    expect(spansIn(folder)).toHaveLength(1)
  })
})

describe('fsync', () => {
  /** How often files were forced to the disk while `act` ran. */
  async function syncsDuring(act: () => Promise<unknown>): Promise<number> {
    const probe = await fs.open('/dev/null')
    const datasync = vi.spyOn(Object.getPrototypeOf(probe), 'datasync')
    await probe.close()
    await act()
    const { length } = datasync.mock.calls
    datasync.mockRestore()
    return length
  }

  it("'always' lets an operation run when its line is on disk, and shares the effort", async () => {
    const { folder, telemetry, kest } = setUp({ fsync: 'always', waitTimeoutMs: 60_000 })
    const seen: number[] = []
    const begun = () => kest.begin(root).then(() => seen.push(spansIn(folder).length))
    const syncs = await syncsDuring(() => Promise.all(Array.from({ length: 50 }, begun)))
    expect(seen).toEqual(Array(50).fill(50))
    expect(syncs).toBeGreaterThan(0)
    expect(syncs).toBeLessThanOrEqual(2)
    await telemetry.shutdown()
  })

  it("'interval' does so after a while, and at the end", async () => {
    const { telemetry, kest } = setUp()
    const syncs = await syncsDuring(async () => {
      await kest.begin(root)
      await telemetry.shutdown()
    })
    expect(syncs).toBe(1)
  })

  it("'never' leaves it to the system", async () => {
    const { telemetry, kest } = setUp({ fsync: 'never' })
    const syncs = await syncsDuring(async () => {
      await kest.begin(root)
      await telemetry.shutdown()
    })
    expect(syncs).toBe(0)
  })

  it('goes on in another file when the disk failed to take what was written', async () => {
    const { folder, telemetry, kest, logger } = setUp({ fsync: 'always', waitTimeoutMs: 60_000 })
    await kest.begin(root)
    const probe = await fs.open('/dev/null')
    const datasync = vi
      .spyOn(Object.getPrototypeOf(probe), 'datasync')
      .mockRejectedValueOnce(new Error('EIO'))
    onTestFinished(() => datasync.mockRestore())
    await probe.close()
    await kest.begin(root)
    await telemetry.shutdown()
    expect(filesIn(folder)).toHaveLength(2)
    expect(signaturesOf(spansIn(folder))).toHaveLength(2)
    expect(new Set(signaturesOf(spansIn(folder))).size).toBe(2)
    expect(logger.records[0]).toMatchObject({ level: 'error', details: { err: 'EIO' } })
  })
})

it('K-AUDIT goes on in another file, with all that was not acknowledged, when somebody deletes the file', async () => {
  const { folder, telemetry, kest, logger } = setUp({ fsync: 'always', waitTimeoutMs: 60_000 })
  await kest.begin(root)
  const [deleted = ''] = filesIn(folder)
  await fs.rm(join(folder, deleted))
  const operations = [await kest.begin(root), await kest.begin(root)]
  await telemetry.shutdown()
  expect(signaturesOf(spansIn(folder))).toEqual(operations.map(({ entry }) => entry.jws))
  expect(logger.records[0]).toMatchObject({
    level: 'error',
    details: { err: `${join(folder, deleted)} was deleted, and what it held is lost` },
  })
})

it('a folder that is gone is a failure like any other', async () => {
  const { folder, telemetry, kest, logger } = setUp({ fsync: 'always', waitTimeoutMs: 60_000 })
  await fs.rm(folder, { recursive: true })
  const operation = kest.begin(root)
  await expect.poll(() => logger.records.length).toBe(1)
  expect(existsSync(folder)).toBe(false)
  await fs.mkdir(folder)
  await operation
  await telemetry.shutdown()
  expect(spansIn(folder)).toHaveLength(1)
})
