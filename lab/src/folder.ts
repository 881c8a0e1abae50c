import { lstat, mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { CannotRun } from './failure.js'
import { OUT } from './files.js'

/** In a folder that is the lab's to write to, and to clear. */
const MARK = '.kest-lab'
/** Beside it while a run lasts, by its process: nobody takes away the mark of another. */
const RUNNING = /^\.kest-lab-(\d+)$/
/** What a run leaves in its folder, beside its logs. */
const WRITTEN = ['spans.jsonl', 'evidence.json', 'bundle.json', 'trust.json']
const LOGS = 'logs'

/** Where a run writes; nobody else's while it lasts. */
export interface RunFolder {
  readonly path: string
  /** For the next run. What was written stays. */
  release(): Promise<void>
}

/**
 * The folder of one run, without what an earlier run has left there: that says nothing of this one.
 *
 * @param wanted `null` for a new one
 * @param own whatever is in here is the lab's
 * @throws {CannotRun} when there is something in it that is not the lab's, or another run
 */
export async function takeFolder(wanted: string | null, own = OUT): Promise<RunFolder> {
  await mkdir(own, { recursive: true })
  const path = wanted === null ? await mkdtemp(join(own, 'run-')) : await folderAt(wanted)
  if (!isWithin(await realpath(own), path)) await assertMayWrite(path)
  await writeFile(join(path, MARK), 'What the lab writes here, it removes before it writes again.\n')
  const lock = join(path, `${MARK}-${process.pid}`)
  const release = (): Promise<void> => rm(lock, { force: true })
  await writeFile(lock, '')
  try {
    await assertAlone(path)
    await clear(path)
  } catch (error) {
    await release()
    throw error
  }
  return { path, release }
}

async function folderAt(wanted: string): Promise<string> {
  try {
    await mkdir(wanted, { recursive: true })
    return await realpath(wanted)
  } catch (error) {
    throw new CannotRun(`--out: ${(error as Error).message}`)
  }
}

async function assertMayWrite(path: string): Promise<void> {
  const names = await readdir(path)
  if (names.length === 0 || names.includes(MARK)) return
  throw new CannotRun(
    `--out: ${path} has files in it, and is no folder of the lab's (there is no ${MARK}): name an empty or a new one`,
  )
}

/** Two that begin at once may both be refused; never does either miss the other. */
async function assertAlone(path: string): Promise<void> {
  for (const name of await readdir(path)) {
    const pid = Number(RUNNING.exec(name)?.[1] ?? process.pid)
    if (pid === process.pid) continue
    if (isAlive(pid))
      throw new CannotRun(
        `--out: another lab writes to ${path}: process ${pid}. If that is no lab, remove ${name} there`,
      )
    await rm(join(path, name), { force: true })
  }
}

/** Files that it has written, by name, and nothing else. */
async function clear(path: string): Promise<void> {
  const logs = join(path, LOGS)
  const isFolder = await lstat(logs).then(
    (found) => found.isDirectory(),
    () => false,
  )
  const printed = isFolder ? (await readdir(logs)).filter((name) => name.endsWith('.log')) : []
  const files = [...WRITTEN.map((name) => join(path, name)), ...printed.map((name) => join(logs, name))]
  try {
    for (const file of files) await rm(file, { force: true })
  } catch (error) {
    throw new CannotRun(`--out: ${(error as Error).message}`)
  }
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path)
  return way !== '..' && !way.startsWith('../')
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
