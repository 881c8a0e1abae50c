import { randomBytes } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { lstat, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { UsageError } from '../arguments/usage-error.js'
import type { Io } from '../command.js'
import { InputError } from './input-error.js'
import { STDIN } from './read.js'

const MODE = 0o666

/**
 * Writes what a command makes to a file, or to standard output for `-` and where no file is named. The file is there whole, or as
 * it was before. Links are not followed: somebody else could have laid one.
 *
 * @throws {InputError} when it cannot be written, or there is something that is no regular file
 */
export async function writeResult(text: string, path: string | undefined, { stdout }: Io): Promise<void> {
  if (path === undefined || path === STDIN) {
    await stdout.write(text)
    return
  }
  try {
    await replaceFile(path, text)
  } catch (cause) {
    if (cause instanceof InputError) throw cause
    const { code = 'unknown' } = cause as NodeJS.ErrnoException
    throw new InputError(`${path}: it cannot be written: ${code}`, { cause })
  }
}

/**
 * Before anything is read: what is written takes the place of a file as a whole, and a proof that is in it would be gone.
 *
 * @param inputs what the command reads, as it was named
 * @param option that names the output
 * @throws {UsageError} when the output is one of them, or in a folder that is one, by whatever name
 */
export async function assertNoInput(
  output: string | undefined,
  inputs: readonly string[],
  option = 'output',
): Promise<void> {
  if (output === undefined || output === STDIN) return
  const place = placeOf(await lstat(output, { bigint: true }).catch(() => undefined))
  if (place === undefined) return
  for (const input of inputs) {
    const found = await stat(input, { bigint: true }).catch(() => undefined)
    if (found?.isDirectory() === true ? await isWithin(output, input) : placeOf(found) === place)
      throw new UsageError(`--${option} ${output}: it is read, and would be replaced`)
  }
}

async function isWithin(file: string, folder: string): Promise<boolean> {
  const [inner, outer] = [await realpath(file), await realpath(folder)]
  return inner.startsWith(outer.endsWith(sep) ? outer : outer + sep)
}

/**
 * Before anything is read: that the folder is missing would be learned when all is done.
 *
 * @throws {UsageError} when there is no folder that the output could be in
 */
export async function assertFolder(output: string, option: string): Promise<void> {
  const folder = await stat(dirname(output)).catch(() => undefined)
  if (folder?.isDirectory() !== true)
    throw new UsageError(`--${option} ${output}: there is no folder ${dirname(output)}`)
}

function placeOf(found: BigIntStats | undefined): string | undefined {
  return found?.isFile() === true ? `${found.dev}:${found.ino}` : undefined
}

async function replaceFile(path: string, text: string): Promise<void> {
  const mode = await modeOf(path)
  // As short as it may be: the name itself may be as long as the file system has them.
  const beside = join(dirname(path), `.kest-${randomBytes(6).toString('hex')}`)
  const file = await open(beside, 'wx', mode ?? MODE)
  try {
    try {
      // Of a new file the umask decides, and of one that is there, whoever made it.
      if (mode !== undefined) await file.chmod(mode)
      await file.writeFile(text)
    } finally {
      await file.close()
    }
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
}

/** Of a file that is replaced; `undefined` when there is none. @throws {InputError} */
async function modeOf(path: string): Promise<number | undefined> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined) return undefined
  if (found.isFile()) return found.mode & 0o777
  const what = found.isSymbolicLink() ? 'a link, which is not followed' : 'no regular file'
  throw new InputError(`${path}: it cannot be written: it is ${what}; "-" is standard output`)
}
