import type { Readable } from 'node:stream'
import { readFiles, readStream, type SpanBatch } from '@kest/audit'
import { STDIN } from '../files/read.js'

/** Spans in files and folders, and of standard input for `-`. @throws {KestError} as `readFiles` */
export async function* spansAt(paths: readonly string[], stdin: Readable): AsyncGenerator<SpanBatch> {
  for (const path of paths) yield* path === STDIN ? readStream(stdin, STDIN) : readFiles([path])
}
