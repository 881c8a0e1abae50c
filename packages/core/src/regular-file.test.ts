import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openRegularFile, readRegularFile, readRegularFileSync } from './regular-file.js'

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kest-regular-file-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

it('reads a regular file, whatever its size, also by a link', async () => {
  const path = await folder()
  await symlink('file', join(path, 'link'))
  for (const size of [0, 1, 65_535, 65_536, 300_000]) {
    const bytes = Buffer.alloc(size, 'x')
    await writeFile(join(path, 'file'), bytes)
    for (const name of ['file', 'link']) {
      expect((await readRegularFile(join(path, name))).equals(bytes)).toBe(true)
      expect(readRegularFileSync(join(path, name)).equals(bytes)).toBe(true)
    }
  }
})

it('K-LIMIT reads no more than it is told', async () => {
  const file = join(await folder(), 'file')
  await writeFile(file, 'four')
  expect(String(await readRegularFile(file, { maxBytes: 4 }))).toBe('four')
  await expect(readRegularFile(file, { maxBytes: 3 })).rejects.toThrow('more than 3 bytes')
  expect(() => readRegularFileSync(file, 3)).toThrow('more than 3 bytes')
})

// The system says of its own that they have no bytes.
it.runIf(existsSync('/proc/self/maps'))('reads a file that does not say how large it is', async () => {
  expect((await readRegularFile('/proc/self/maps')).length).toBeGreaterThan(0)
  await expect(readRegularFile('/proc/self/maps', { maxBytes: 10 })).rejects.toThrow('more than 10 bytes')
})

it('opens neither a FIFO nor a device nor a folder', async () => {
  const path = await folder()
  execFileSync('mkfifo', [join(path, 'fifo')])
  await symlink('fifo', join(path, 'link'))
  for (const name of [join(path, 'fifo'), join(path, 'link'), '/dev/zero', path]) {
    await expect(openRegularFile(name)).rejects.toThrow(/no regular file|a directory/)
    await expect(readRegularFile(name)).rejects.toThrow(/no regular file|a directory/)
    expect(() => readRegularFileSync(name)).toThrow(/no regular file|a directory/)
  }
  await expect(readRegularFile(join(path, 'none'))).rejects.toMatchObject({ code: 'ENOENT' })
})

it('ends when it is told to', async () => {
  const file = join(await folder(), 'file')
  await writeFile(file, 'text')
  await expect(readRegularFile(file, { signal: AbortSignal.abort() })).rejects.toThrow('aborted')
})
