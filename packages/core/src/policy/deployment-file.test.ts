import { execFileSync, spawnSync } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  open as openFile,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { KestConfigError } from '../errors.js'
import { FakeClock } from '../testing/fake-clock.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { DeploymentFile } from './deployment-file.js'
import { isInForce, type Observation } from './observation.js'

const policies = (...names: string[]) => `policies: { enterprise: [${names.join(', ')}] }\n`

let folder: string
let path: string
let logger: RecordingLogger
let clock: FakeClock
let counted: string[]
let file: DeploymentFile | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kest-deployment-'))
  path = join(folder, 'kest.yaml')
  logger = new RecordingLogger()
  clock = new FakeClock(Date.parse('2030-01-01T00:00:00Z'))
  counted = []
})

afterEach(() => {
  file?.close()
  rmSync(folder, { recursive: true })
})

function open(timeoutMs = 5_000): DeploymentFile {
  file = new DeploymentFile(path, {
    logger,
    clock,
    metrics: { reloaded: (result) => counted.push(result) },
    intervalMs: 5,
    timeoutMs,
  })
  return file
}

/** Replaces the file as a whole. */
function replace(text: string | Buffer): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

/** Replaces the file by one that nobody writes to. */
function replaceByFifo(path: string): void {
  execFileSync('mkfifo', [`${path}.fifo`])
  renameSync(`${path}.fifo`, path)
}

/** As a network mount does that is gone: whatever is read hangs. */
function holdAllThreads(): () => void {
  const fifos = Array.from({ length: Number(process.env.UV_THREADPOOL_SIZE ?? 4) }, (_, i) =>
    join(folder, `hangs-${i}`),
  )
  execFileSync('mkfifo', fifos)
  for (const fifo of fifos) openFile(fifo, 'r', (_, fd) => closeSync(fd))
  return () => {
    for (const fifo of fifos) closeSync(openSync(fifo, 'r+'))
  }
}

/** As an editor of another age writes it. */
const latin1 = (text: string) => Buffer.from(text, 'latin1')

const enterprise = () => file?.current.policies.enterprise
const errors = () => logger.records.filter(({ level }) => level === 'error')
const soon = (check: () => void) => vi.waitFor(check, { timeout: 60_000, interval: 2 })

describe('the deployment file', () => {
  it('is read at once, and refused by name when it is not there or not right', () => {
    expect(() => open()).toThrow(KestConfigError)
    expect(() => open()).toThrow(/kest\.yaml: cannot be read: ENOENT/)
    writeFileSync(path, 'policies: { enterprise: 7 }')
    expect(() => open()).toThrow(/kest\.yaml: policies\.enterprise: expected a list/)
    replace(latin1(policies('naïve')))
    expect(() => open()).toThrow(/kest\.yaml: it is not UTF-8/)
    replaceByFifo(path)
    expect(() => open()).toThrow(/kest\.yaml: cannot be read: it is no regular file/)
  })

  it('F-PE-07 is loaded again when it has changed', async () => {
    writeFileSync(path, policies('a'))
    const { current } = open()
    expect(current.policies.enterprise).toEqual(['a'])
    replace(policies('b'))
    await soon(() => expect(enterprise()).toEqual(['b']))
    expect(current.policies.enterprise).toEqual(['a'])
    expect(counted).toEqual(['ok'])
    expect(logger.records.map(({ level }) => level)).toEqual(['info'])
  })

  it('is the one that it was, wherever the process goes', async () => {
    replace(policies('first'))
    const before = process.cwd()
    const elsewhere = mkdtempSync(join(tmpdir(), 'kest-elsewhere-'))
    writeFileSync(join(elsewhere, 'kest.yaml'), policies())
    try {
      process.chdir(folder)
      path = 'kest.yaml'
      open()
      process.chdir(elsewhere)
      path = join(folder, 'kest.yaml')
      replace(policies('first', 'second'))
      await soon(() => expect(enterprise()).toEqual(['first', 'second']))
    } finally {
      process.chdir(before)
      rmSync(elsewhere, { recursive: true })
    }
  })

  it('is followed on when the logger fails', async () => {
    replace(policies('first'))
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    open()
    vi.spyOn(logger, 'info').mockImplementationOnce(() => {
      throw new Error('no log')
    })
    replace(policies('second'))
    await soon(() =>
      expect(warned).toHaveBeenCalledWith(expect.stringContaining('no log'), expect.anything()),
    )
    replace(policies('third'))
    await soon(() => expect(enterprise()).toEqual(['third']))
    warned.mockRestore()
  })

  it('is the same object while it stays the same', async () => {
    writeFileSync(path, policies('a'))
    const { current } = open()
    replace(policies('a'))
    // A later change is seen, so the one before it was looked at.
    const before = file?.current
    replace(policies('b'))
    await soon(() => expect(enterprise()).toEqual(['b']))
    expect(before).toBe(current)
    expect(counted).toEqual(['ok'])
  })

  it('is followed through replaced symbolic links, as a ConfigMap is mounted', async () => {
    for (const [version, policy] of ['a', 'b'].entries()) {
      mkdirSync(join(folder, `v${version}`))
      writeFileSync(join(folder, `v${version}`, 'kest.yaml'), policies(policy))
    }
    symlinkSync('v0', join(folder, '..data'))
    symlinkSync(join('..data', 'kest.yaml'), path)
    open()
    expect(enterprise()).toEqual(['a'])
    symlinkSync('v1', join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    await soon(() => expect(enterprise()).toEqual(['b']))
  })

  it.each<[string, () => void, RegExp]>([
    ['broken', () => replace('policies: ['), /not YAML or JSON/],
    ['of the wrong form', () => replace('policies: { enterprise: [a], department: [] }'), /department/],
    ['empty', () => replace(''), /document: expected an object/],
    ['not UTF-8', () => replace(latin1(policies('naïve'))), /it is not UTF-8/],
    ['gone', () => rmSync(path), /cannot be read: ENOENT/],
    ['a FIFO', () => replaceByFifo(path), /cannot be read: it is no regular file/],
  ])('that is %s leaves in force what was, and says so loudly', async (_, spoil, reason) => {
    writeFileSync(path, policies('a'))
    const { current } = open()
    spoil()
    await soon(() => expect(errors()).toHaveLength(1))
    expect(file?.current).toBe(current)
    expect(errors()[0]).toMatchObject({
      details: { file: path, code: 'ERR_KEST_CONFIG', err: expect.stringMatching(reason) },
      message: expect.stringContaining('stays'),
    })
    expect(counted).toEqual(['ERR_KEST_CONFIG'])

    replace(policies('b'))
    await soon(() => expect(enterprise()).toEqual(['b']))
    expect(counted).toEqual(['ERR_KEST_CONFIG', 'ok'])
  })

  it('that cannot be read for a while is said to be so, read once meanwhile, and followed on afterwards', async () => {
    writeFileSync(path, policies('a'))
    const release = holdAllThreads()
    try {
      open(20)
      await soon(() => expect(errors()).toHaveLength(1))
      expect(errors()[0]?.details).toMatchObject({
        err: expect.stringMatching(/kest\.yaml: .*no answer within 20 ms/),
      })
      // For as long as some more looks would have taken.
      await delay(200)
      const reads = process.getActiveResourcesInfo().filter((name) => name === 'FSReqPromise')
      expect(reads).toHaveLength(1)
      expect(enterprise()).toEqual(['a'])
    } finally {
      release()
    }
    replace(policies('b'))
    await soon(() => expect(enterprise()).toEqual(['b']))
    expect(counted).toContain('ok')
  })

  it('that stays broken is said again each minute, and no more once it is what it was', async () => {
    writeFileSync(path, policies('a'))
    open()
    replace('policies: [')
    await soon(() => expect(errors()).toHaveLength(1))
    for (const times of [2, 3]) {
      clock.advance(60_000)
      await soon(() => expect(errors()).toHaveLength(times))
    }
    expect(counted).toEqual(Array(3).fill('ERR_KEST_CONFIG'))
    replace(policies('a'))
    await soon(() => expect(counted.at(-1)).toBe('ok'))
    clock.advance(60_000)
    replace(policies('b'))
    await soon(() => expect(enterprise()).toEqual(['b']))
    expect(errors()).toHaveLength(3)
  })

  it('F-PE-11 names the deviations that exempt nothing any more', async () => {
    const deviation = (expires: string) =>
      `${policies('a')}deviations: [{ policy: a, tier: enterprise, scope: op, reason: r, approver: me, expires: ${expires} }]`
    writeFileSync(path, deviation('2029-12-31T00:00:00Z'))
    open()
    const expired = { level: 'warn', details: { policy: 'a', scope: { operation: 'op' } } }
    expect(logger.records).toMatchObject([expired])
    replace(deviation('2030-12-31T00:00:00Z'))
    await soon(() => expect(counted).toEqual(['ok']))
    expect(logger.records.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })

  it('K-OBSERVE says what is observed: when it is read, at each reload, a week before its end, and at its end', async () => {
    const observing = (expires: string, reason = 'r') =>
      `${policies('a')}observe: [{ what: lineage, scope: { all: true }, reason: ${reason}, approver: me, expires: ${expires} }]`
    const said = () => logger.records.filter(({ level }) => level === 'warn')
    writeFileSync(path, observing('2030-01-31T00:00:00Z'))
    open()
    const inForce = {
      details: {
        file: path,
        what: 'lineage',
        reason: 'r',
        approver: 'me',
        expires: '2030-01-31T00:00:00.000Z',
      },
      message: expect.stringMatching(/^REFUSALS ARE OBSERVED, NOT ENFORCED/),
    }
    expect(said()).toMatchObject([inForce])
    replace(observing('2030-01-31T00:00:00Z', 'other'))
    await soon(() => expect(said()).toMatchObject([inForce, { details: { reason: 'other' } }]))
    clock.advance(23 * 86_400_000 + 1)
    await soon(() => expect(said().at(-1)?.message).toMatch(/ends in less than a week/))
    clock.advance(7 * 86_400_000)
    await soon(() => expect(said().at(-1)?.message).toMatch(/has expired: what it names is enforced/))
    expect(said()).toHaveLength(4)
    // Reloaded, what has expired is said once more; a clock that is set back revives nothing.
    replace(observing('2030-01-31T00:00:00Z', 'again'))
    await soon(() => expect(said()).toHaveLength(5))
    expect(said().at(-1)).toMatchObject({
      details: { reason: 'again' },
      message: expect.stringMatching(/expired/),
    })
    expect(isInForce(file?.current.observe?.[0] as Observation, 0)).toBe(false)
  })

  it('K-OBSERVE leaves in force what was where an observation has no end within 90 days', async () => {
    writeFileSync(path, policies('a'))
    open()
    replace(
      `${policies('a')}observe: [{ what: lineage, scope: { all: true }, reason: r, approver: me, expires: 2030-06-01T00:00:00Z }]`,
    )
    await soon(() => expect(errors()).toHaveLength(1))
    expect(errors()[0]?.details['err']).toMatch(/observe\[0\]\.expires: .*90 days/)
    expect(file?.current.observe).toBeUndefined()
  })

  it('is followed no longer once it is closed, as often as one likes', async () => {
    writeFileSync(path, policies('a'))
    const closed = open()
    closed.close()
    closed.close()
    replace(policies('b'))
    // Another that is opened later has seen the change twice over, so the closed one would have as well.
    const other = open()
    replace(policies('c'))
    await soon(() => expect(other.current.policies.enterprise).toEqual(['c']))
    expect(closed.current.policies.enterprise).toEqual(['a'])
  })

  it('keeps no process alive', () => {
    writeFileSync(path, policies('a'))
    const core = new URL('../../dist/index.js', import.meta.url).href
    const program = `import { createKest } from '${core}'; createKest({}); console.log('made')`
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, KEST_CONFIG: path },
      encoding: 'utf8',
      timeout: 120_000,
    })
    expect([status, stdout]).toEqual([0, 'made\n'])
  })
})
