import { readFileSync, type Stats, statSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'

/** A file's bytes. What is no regular file is never opened: a FIFO that nobody writes to would be waited for, for ever. */
export async function readRegularFile(path: string): Promise<Buffer> {
  assertRegular(await stat(path))
  return await readFile(path)
}

export function readRegularFileSync(path: string): Buffer {
  assertRegular(statSync(path))
  return readFileSync(path)
}

function assertRegular(found: Stats): void {
  if (!found.isFile()) throw new Error('it is no regular file')
}
