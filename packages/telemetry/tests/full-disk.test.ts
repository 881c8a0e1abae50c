import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RecordingLogger } from '@kest/core/testing'
import { setupTelemetry, type TelemetryOptions } from '@kest/telemetry'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from './support/folder.js'
import { kestWith, root } from './support/kest.js'
import { filesIn, linesIn, signaturesOf, spansIn, spansOf } from './support/spans.js'
import { WRITING_SERVICE } from './support/writing-service.js'

/** A disk of 64 KiB, all of it taken; `null` where this process may not mount one. */
function fullDisk(): { readonly folder: string; free(): void } | null {
  const disk = temporaryFolder()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    return null
  }
  onTestFinished(() => {
    execFileSync('umount', [disk])
  })
  const filler = join(disk, 'filler')
  try {
    writeFileSync(filler, Buffer.alloc(1 << 20))
  } catch {
    // It is full.
  }
  return { folder: join(disk, 'audit'), free: () => rmSync(filler) }
}

describe('a full disk', () => {
  let mountable = true
  beforeAll(() => {
    mountable = process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0
    if (!mountable)
      console.warn('!! No disk is filled: only root may mount one. A limited file stands in for it.')
  })

  function setUp(options: TelemetryOptions) {
    const disk = fullDisk()
    if (disk === null) return null
    const logger = new RecordingLogger()
    const telemetry = setupTelemetry({
      serviceName: 'orders',
      exporter: 'file',
      endpoint: disk.folder,
      logger,
      ...options,
    })
    /** Another service that writes there, and waits as long as it takes. */
    const patient = () =>
      setupTelemetry({
        serviceName: 'patient',
        exporter: 'file',
        endpoint: disk.folder,
        logger,
        fsync: 'always',
        waitTimeoutMs: 60_000,
      })
    return { disk, logger, telemetry, kest: kestWith(telemetry), patient }
  }

  it('refuses operations that wait for their record, until there is room on it', async (test) => {
    const it = setUp({ fsync: 'always', waitTimeoutMs: 1_000, flushTimeoutMs: 60_000 })
    if (it === null) return test.skip('a disk cannot be mounted here')
    await expect(it.kest.begin(root)).rejects.toMatchObject({ code: 'ERR_KEST_AUDIT_UNAVAILABLE' })
    await expect.poll(() => it.logger.records.length).toBeGreaterThan(0)
    expect(it.logger.records[0]).toMatchObject({
      level: 'error',
      message: 'audit spans cannot be exported; they are kept and tried again',
      details: { err: expect.stringContaining('ENOSPC') },
    })
    it.disk.free()
    await it.telemetry.forceFlush()
    const patient = it.patient()
    await kestWith(patient).begin(root)
    await Promise.all([it.telemetry.shutdown(), patient.shutdown()])
    expect(filesIn(it.disk.folder)).toHaveLength(2)
    expect(signaturesOf(spansIn(it.disk.folder))).toHaveLength(2)
    expect(it.telemetry.counts.dropped).toEqual({
      overflow: 0,
      denial: 0,
      refused: 0,
      unwritable: 0,
      shutdown: 0,
    })
  })

  it("with 'drop', lets them run, and counts what the queue cannot hold", async (test) => {
    const it = setUp({ onOverflow: 'drop', queueSize: 10, exportDelayMs: 0 })
    if (it === null) return test.skip('a disk cannot be mounted here')
    for (let n = 0; n < 25; n += 1) await it.kest.begin(root)
    expect(it.telemetry.counts).toMatchObject({ accepted: 10, exported: 0, dropped: { overflow: 15 } })
    it.disk.free()
    await it.telemetry.shutdown()
    expect(linesIn(it.disk.folder).flatMap(spansOf)).toHaveLength(10)
  })
})

it('a file that may not grow: what does not fit is cut off, and what was acknowledged is whole', () => {
  const endpoint = join(temporaryFolder(), 'audit')
  mkdirSync(endpoint)
  const times = { waitTimeoutMs: 10_000, flushTimeoutMs: 1 }
  const options = JSON.stringify({ exporter: 'file', endpoint, fsync: 'always', ...times })
  const { stdout, stderr, status } = spawnSync(
    'sh',
    ['-c', 'ulimit -f 128; exec "$0" "$@"', process.execPath, WRITING_SERVICE, options],
    { encoding: 'utf8', timeout: 120_000 },
  )
  expect(status).toBe(1)
  expect(stderr).toContain('EFBIG')
  expect(stderr).toContain('ERR_KEST_AUDIT_UNAVAILABLE')
  const [file = '', ...others] = filesIn(endpoint)
  expect(others).toEqual([])
  const text = readFileSync(join(endpoint, file), 'utf8')
  expect(text.endsWith('\n')).toBe(true)
  const written = linesIn(endpoint).flatMap(spansOf)
  const hashes = new Set(written.map(({ attributes }) => attributes['kest.chain_tip']))
  const acknowledged = stdout.split('\n').slice(0, -1)
  expect(acknowledged.length).toBeGreaterThan(0)
  expect(acknowledged.filter((hash) => !hashes.has(hash))).toEqual([])
})
