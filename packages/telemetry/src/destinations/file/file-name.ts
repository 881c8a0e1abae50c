import { randomBytes } from 'node:crypto'

/**
 * Names the files of one process, so that several may write one folder: service, time of the first file, process id, and
 * eight random digits, then the number of the file; in alphabetical order they are in order of time.
 *
 * @example `orders-20300131T235959Z-4711-9f86d081.0001.jsonl`
 */
export function fileNames(service: string): () => string {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  // One that begins with a dot is hidden, and passed over by whoever reads the folder.
  const safe = service.replace(/^\.|[^\w.-]/g, '_').slice(0, 100)
  const prefix = `${safe}-${time}-${process.pid}-${randomBytes(4).toString('hex')}`
  let n = 0
  return () => `${prefix}.${String(++n).padStart(4, '0')}.jsonl`
}
