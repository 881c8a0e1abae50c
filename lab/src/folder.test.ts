import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { CannotRun } from './failure.js'
import { takeFolder } from './folder.js'

let parent: string
let own: string
let wanted: string

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'kest-lab-folder-'))
  onTestFinished(() => rmSync(parent, { recursive: true }))
  own = join(parent, 'own')
  wanted = join(parent, 'wanted')
})

/** What a run leaves, and a user. */
function fill(folder: string): void {
  mkdirSync(join(folder, 'logs'), { recursive: true })
  for (const name of ['bundle.json', 'trust.json', 'notes.txt', 'logs/hop1.log', 'logs/notes.txt'])
    writeFileSync(join(folder, name), 'filled')
}

const names = (folder: string) => readdirSync(folder, { recursive: true }).map(String).sort()

describe('the folder of a run', () => {
  it('is not one with files that no lab has written, which are left alone', async () => {
    fill(wanted)
    const before = names(wanted)
    await expect(takeFolder(wanted, own)).rejects.toThrow(CannotRun)
    expect(names(wanted)).toEqual(before)
  })

  it('is cleared of what an earlier run has written there, and of nothing else', async () => {
    const first = await takeFolder(wanted, own)
    fill(wanted)
    await first.release()
    const second = await takeFolder(wanted, own)
    await second.release()
    expect(names(wanted)).toEqual(['.kest-lab', 'logs', 'logs/notes.txt', 'notes.txt'])
  })

  it('may be one in lab/out that has no mark yet', async () => {
    for (const folder of [own, join(own, 'run-1')]) {
      fill(folder)
      const { release } = await takeFolder(folder, own)
      expect(existsSync(join(folder, 'trust.json'))).toBe(false)
      await release()
    }
  })

  it('is a new one where none is named', async () => {
    const runs = await Promise.all([takeFolder(null, own), takeFolder(null, own)])
    expect(new Set(runs.map(({ path }) => path)).size).toBe(2)
    for (const { path } of runs) expect(path.startsWith(join(own, 'run-'))).toBe(true)
  })

  it('belongs to one run at a time', async () => {
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    onTestFinished(() => void other.kill())
    await (await takeFolder(wanted, own)).release()
    fill(wanted)
    const lock = join(wanted, `.kest-lab-${other.pid}`)
    writeFileSync(lock, '')
    await expect(takeFolder(wanted, own)).rejects.toThrow(`process ${other.pid}`)
    expect(readFileSync(join(wanted, 'trust.json'), 'utf8')).toBe('filled')
    rmSync(lock)
    await (await takeFolder(wanted, own)).release()
  })

  it('is taken over from a run that was killed', async () => {
    await (await takeFolder(wanted, own)).release()
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    writeFileSync(join(wanted, `.kest-lab-${pid}`), '')
    const { release } = await takeFolder(wanted, own)
    expect(names(wanted)).toEqual(['.kest-lab', `.kest-lab-${process.pid}`])
    await release()
  })

  it('cannot be a file', async () => {
    writeFileSync(wanted, '')
    await expect(takeFolder(wanted, own)).rejects.toThrow(CannotRun)
  })
})
