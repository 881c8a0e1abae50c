import { isUtf8 } from 'node:buffer'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { KestError } from '@kest/core'

/** Bytes of a file that are read: a passport has at most one MiB, the rest is trust material. */
export const MAX_FILE_BYTES: number = 4 * 1024 * 1024
/** The name that stands for standard input. */
export const STDIN = '-'

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'reading it is not permitted',
  EISDIR: 'it is a directory',
}

/**
 * The text of a file, of a pipe, or of standard input for `-`. Bounded while it is read, so that a device without an
 * end is none either.
 *
 * @throws {KestError} `ERR_KEST_EVIDENCE`: it cannot be read, or is not UTF-8; `ERR_KEST_LIMIT`: it is too large
 */
export async function readText(path: string, stdin: Readable): Promise<string> {
  const bytes = path === STDIN ? await collect(stdin) : await readFileBounded(path)
  if (!isUtf8(bytes)) throw unreadable('it is not UTF-8')
  return bytes.toString('utf8')
}

async function readFileBounded(path: string): Promise<Buffer> {
  try {
    await using file = await open(path, constants.O_RDONLY)
    return await collect(file.createReadStream({ autoClose: false }))
  } catch (cause) {
    if (cause instanceof KestError) throw cause
    const { code = 'unknown' } = cause as NodeJS.ErrnoException
    throw unreadable(REASONS[code] ?? code, cause)
  }
}

async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream) {
    bytes += (chunk as Buffer).length
    // Leaving the loop destroys the stream.
    if (bytes > MAX_FILE_BYTES) {
      throw new KestError('ERR_KEST_LIMIT', `more than ${MAX_FILE_BYTES} bytes, which is all that is read`)
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}

function unreadable(why: string, cause?: unknown): KestError {
  return new KestError('ERR_KEST_EVIDENCE', `it cannot be read: ${why}`, cause === undefined ? {} : { cause })
}
