import { execFileSync } from 'node:child_process'
import { closeSync, open as openFile, openSync } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { FollowedFiles, type FollowedFilesOptions } from './followed-files.js'

const WITHIN = { timeout: 30_000 }

interface Following {
  readonly files: FollowedFiles<readonly unknown[]>
  readonly path: (name: string) => string
  readonly taken: () => number
  readonly faults: readonly string[]
}

/** In one step, so that nobody sees half of it. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

/** Follows files that are JSON, of which none may be `"twice"` where another is. */
async function following(
  contents: Readonly<Record<string, string>>,
  options: Partial<FollowedFilesOptions<never>> = {},
): Promise<Following> {
  const folder = await mkdtemp(join(tmpdir(), 'kest-followed-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const path = (name: string): string => join(folder, name)
  for (const [name, text] of Object.entries(contents)) await writeFile(path(name), text)
  let taken = 0
  const faults: string[] = []
  const paths = options.paths ?? Object.keys(contents).map(path)
  const files = await FollowedFiles.open<readonly unknown[]>({
    stdin: Readable.from([]),
    onTaken: () => taken++,
    onFault: (why) => faults.push(why),
    lookMs: 10,
    ...options,
    paths,
    async parse(read) {
      const values: unknown[] = []
      for (const one of paths) values.push(JSON.parse(await read(one)))
      if (values.filter((one) => one === 'twice').length > 1) throw new Error('it is given twice')
      return values
    },
  })
  onTestFinished(() => files.close())
  return { files, path, taken: () => taken, faults }
}

/** As a network mount does that is gone: whatever is read hangs. */
async function holdAllThreads(): Promise<() => void> {
  const folder = await mkdtemp(join(tmpdir(), 'kest-hanging-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4)
  const fifos = Array.from({ length: threads }, (_, i) => join(folder, `hangs-${i}`))
  execFileSync('mkfifo', fifos)
  for (const fifo of fifos) openFile(fifo, 'r', (_, fd) => closeSync(fd))
  return () => {
    for (const fifo of fifos) closeSync(openSync(fifo, 'r+'))
  }
}

describe('files that are followed', () => {
  it.each([
    ['replaced by renaming', (path: string) => replace(path, '2')],
    ['written in place', (path: string) => writeFile(path, '2')],
    [
      'removed, and made anew',
      async (path: string) => {
        await rm(path)
        await writeFile(path, '2')
      },
    ],
  ])('count as they are when one is %s', async (_how, change) => {
    const { files, path } = await following({ a: '1' })
    files.follow()
    await change(path('a'))
    await vi.waitFor(() => expect(files.current).toEqual([2]), WITHIN)
  })

  it('count as they are when the folder behind a symbolic link is another, as of a Kubernetes ConfigMap', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kest-followed-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const path = (name: string): string => join(folder, name)
    for (const [name, text] of [
      ['..1', '1'],
      ['..2', '2'],
    ] as const) {
      await mkdir(path(name))
      await writeFile(path(`${name}/a`), text)
    }
    await symlink('..1', path('..data'))
    await symlink('..data/a', path('a'))
    const { files } = await following({}, { paths: [path('a')] })
    files.follow()
    await symlink('..2', path('..data_tmp'))
    await rename(path('..data_tmp'), path('..data'))
    await rm(path('..1'), { recursive: true })
    await vi.waitFor(() => expect(files.current).toEqual([2]), WITHIN)
  })

  it.each([
    ['half-written', (path: string) => writeFile(path, '{"a":')],
    ['empty', (path: string) => truncate(path)],
    ['gone', (path: string) => rm(path)],
    [
      'a folder',
      async (path: string) => {
        await rm(path)
        await mkdir(path)
      },
    ],
    [
      'a FIFO',
      async (path: string) => {
        await rm(path)
        execFileSync('mkfifo', [path])
      },
    ],
    [
      'a link that leads nowhere',
      async (path: string) => {
        await rm(path)
        await symlink('none', path)
      },
    ],
    ['a gigabyte', (path: string) => truncate(path, 1_000_000_000)],
    ['no text', (path: string) => writeFile(path, Buffer.from([0x22, 0xff, 0x22]))],
  ])(
    'leave what was there before when one is %s, which is said once, and mended later',
    async (_what, spoil) => {
      const { files, path, taken, faults } = await following({ a: '1', b: '1' })
      // What is in the other does not count either.
      await writeFile(path('b'), '2')
      await spoil(path('a'))
      files.follow()
      await vi.waitFor(() => expect(faults).toHaveLength(1), WITHIN)
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect([faults.length, taken(), files.current]).toEqual([1, 0, [1, 1]])
      await rm(path('a'), { recursive: true, force: true })
      await replace(path('a'), '3')
      await vi.waitFor(() => expect(files.current).toEqual([3, 2]), WITHIN)
      expect(taken()).toBe(1)
    },
  )

  it('are refused together for what is wrong between them', async () => {
    const { files, path, faults } = await following({ a: '"twice"', b: '1' })
    files.follow()
    await replace(path('b'), '"twice"')
    await vi.waitFor(() => expect(faults).toEqual(['it is given twice']), WITHIN)
    expect(files.current).toEqual(['twice', 1])
    await replace(path('a'), '2')
    await vi.waitFor(() => expect(files.current).toEqual([2, 'twice']), WITHIN)
  })

  it('say the same again when it was mended in between, and that what was there is there again', async () => {
    const { files, path, taken, faults } = await following({ a: '1' })
    files.follow()
    for (const times of [1, 2]) {
      await replace(path('a'), 'no JSON')
      await vi.waitFor(() => expect(faults).toHaveLength(times), WITHIN)
      await replace(path('a'), '1')
      await vi.waitFor(() => expect(taken()).toBe(times), WITHIN)
    }
    expect(files.current).toEqual([1])
  })

  it('are not taken while they change at each look, which is said', async () => {
    const { files, path, faults } = await following({ a: '1' }, { lookMs: 1 })
    let n = 1
    const file = await open(path('a'), 'w')
    onTestFinished(() => file.close())
    let isOver = false
    files.follow()
    const writing = (async () => {
      while (!isOver) {
        await file.write(String(++n), 0)
        await new Promise(setImmediate)
      }
    })()
    await vi.waitFor(() => expect(faults.join()).toContain('something else is there at each look'), WITHIN)
    isOver = true
    await writing
    const last = JSON.parse(await readFile(path('a'), 'utf8')) as unknown
    await vi.waitFor(() => expect(files.current).toEqual([last]), WITHIN)
  }, 60_000)

  it('that cannot be read for a while are said to be so, and followed on afterwards', async () => {
    const { files, path, faults } = await following({ a: '1' }, { timeoutMs: 20 })
    await writeFile(path('b'), '2')
    const release = await holdAllThreads()
    try {
      files.follow()
      await vi.waitFor(() => expect(faults).toEqual([`${path('a')}: no answer within 20 ms`]), WITHIN)
      // For as long as some more looks would have taken.
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect([faults.length, files.current]).toEqual([1, [1]])
    } finally {
      release()
    }
    await rename(path('b'), path('a'))
    await vi.waitFor(() => expect(files.current).toEqual([2]), WITHIN)
  })

  it('read standard input once', async () => {
    const stdin = new PassThrough()
    stdin.end('1')
    const folder = await mkdtemp(join(tmpdir(), 'kest-followed-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await writeFile(join(folder, 'b'), '1')
    const { files } = await following({}, { stdin, paths: ['-', join(folder, 'b')] })
    files.follow()
    await replace(join(folder, 'b'), '2')
    await vi.waitFor(() => expect(files.current).toEqual([1, 2]), WITHIN)
  })

  it('are taken at once by whoever looks himself, whole or not at all', async () => {
    const { files, path, faults } = await following({ a: '1', b: '1' })
    await writeFile(path('a'), '2')
    expect(files.current).toEqual([1, 1])
    await files.look()
    expect(files.current).toEqual([2, 1])
    await rm(path('b'))
    await writeFile(path('a'), '3')
    await files.look()
    expect(files.current).toEqual([2, 1])
    expect(faults).toEqual(['it cannot be read: there is no such file'])
  })

  it('are as they were once they are closed', async () => {
    const { files, path, taken } = await following({ a: '1' })
    files.follow()
    files.close()
    files.close()
    await writeFile(path('a'), '2')
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect([files.current, taken()]).toEqual([[1], 0])
  })

  it('are not begun with what cannot be read', async () => {
    await expect(following({ a: 'no JSON' })).rejects.toThrow(SyntaxError)
  })
})
