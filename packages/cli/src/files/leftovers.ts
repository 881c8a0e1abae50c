import { lstat, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** What temporary folders of this program are called, before the number of their process. */
export const FOLDER_PREFIX = 'kest-cli-'
/** How often a folder that is in use is touched. */
export const KEPT_FRESH_MS = 60_000
/** Untouched for so long, one is not in use. */
const LEFT_MS = 3_600_000

const NAME = new RegExp(`^${FOLDER_PREFIX}(\\d{1,10})-[A-Za-z0-9]{6}$`)
const WRITABLE_BY_OTHERS = 0o022
const STICKY = 0o1000

/**
 * Removes the temporary folders of earlier runs that were killed: those of this user alone, whose process is gone and that nobody has
 * touched for an hour. Where others could put something else in their place meanwhile, and that is wherever they may rename what is
 * not theirs, nothing is removed. That something cannot be removed is no error.
 */
export async function removeLeftovers(folder: string, now: number = Date.now()): Promise<void> {
  const user = process.getuid?.()
  // Windows has a folder for each user, and no owners to tell.
  if (user === undefined) return
  const within = await stat(folder).catch(() => undefined)
  if (within === undefined) return
  if ((within.mode & WRITABLE_BY_OTHERS) !== 0 && (within.mode & STICKY) === 0) return
  for (const name of await readdir(folder).catch(() => [])) {
    const pid = NAME.exec(name)?.[1]
    if (pid === undefined || isAlive(Number(pid))) continue
    const path = join(folder, name)
    const found = await lstat(path).catch(() => undefined)
    if (found === undefined || !found.isDirectory() || found.uid !== user) continue
    if ((found.mode & 0o777) !== 0o700 || now - found.mtimeMs < LEFT_MS) continue
    await rm(path, { recursive: true, force: true }).catch(() => undefined)
  }
}

/** One that may not be asked is another user's, and is there. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
