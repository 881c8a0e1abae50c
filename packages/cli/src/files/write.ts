import { writeFile } from 'node:fs/promises'
import type { Io } from '../command.js'
import { InputError } from './input-error.js'
import { STDIN } from './read.js'

/**
 * Writes what a command makes to a file, or to standard output for `-` and where no file is named.
 * @throws {InputError} when it cannot be written
 */
export async function writeResult(text: string, path: string | undefined, { stdout }: Io): Promise<void> {
  if (path === undefined || path === STDIN) {
    await stdout.write(text)
    return
  }
  try {
    await writeFile(path, text)
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException
    throw new InputError(`${path}: it cannot be written: ${code}`, { cause })
  }
}
