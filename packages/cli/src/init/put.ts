import type { Stats } from 'node:fs'
import { lstat, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Io } from '../command.js'
import { InputError } from '../files/input-error.js'
import { writeResult } from '../files/write.js'
import type { WrittenFile } from './written-file.js'

/**
 * Writes all of them, or none: where one is there already nothing is written, unless it may be replaced. What is no regular file
 * never is.
 *
 * @throws {InputError} that names all that are there, or what cannot be written
 */
export async function put(
  files: readonly WrittenFile[],
  folder: string,
  { force, io }: { readonly force: boolean; readonly io: Io },
): Promise<void> {
  const found = await Promise.all(files.map(({ path }) => whatIsAt(join(folder, path))))
  const taken = files.filter((_, i) => found[i] !== null).map(({ path }) => path)
  if (taken.length > 0 && !force)
    throw new InputError(
      `${taken.join(', ')}: there already, and not touched; --force replaces what is there`,
    )
  const others = files.filter((_, i) => found[i]?.isFile() === false).map(({ path }) => path)
  if (others.length > 0)
    throw new InputError(
      `${others.join(', ')}: a link, or no regular file: not replaced, and nothing was written`,
    )
  for (const { path, text } of files) {
    const place = join(folder, path)
    await makeFolder(dirname(place))
    await writeResult(text, place, io)
  }
}

async function whatIsAt(path: string): Promise<Stats | null> {
  try {
    return await lstat(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    throw new InputError(`${path}: it cannot be written: ${code}`, { cause: error })
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new InputError(`${path}: it cannot be made: ${code}`, { cause })
  }
}
