import { isUtf8 } from 'node:buffer'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { type FileInFolder, filesInFolder } from '@kest/audit'
import { KestError, type VerifyEvidenceOptions } from '@kest/core'
import { MAX_FILE_BYTES, readBeginning, STDIN, textOf } from '../files/read.js'
import { fails, judgeFile, judgeText, type Verdict } from './verdict.js'

/** A file of a folder that holds no evidence: nobody asked for it by itself, and it is passed over. */
export interface PassedOver {
  readonly file: string
  readonly why: string
}

/** What evidence begins with, as its `format`. */
const MARK = '"kest-evidence-'
/** What damaged evidence still has of itself: no byte is part of both. */
const MARKS = [MARK, '"passport"'] as const

/**
 * The verdicts on a path: of a file its own, of a folder those of the evidence in it. In a folder, what is not read could be evidence,
 * and is not usable; what was read and is something else is passed over. A name that ends in `.json` promises JSON.
 */
export async function* verdictsAt(
  path: string,
  options: VerifyEvidenceOptions,
  stdin: Readable,
): AsyncGenerator<Verdict | PassedOver> {
  if (path === STDIN || !(await isFolder(path))) {
    yield await judgeFile(path, options, stdin)
    return
  }
  let judged = 0
  try {
    for await (const found of filesInFolder(path)) {
      const one = await inFolder(found, options)
      if (!('why' in one)) judged++
      yield one
    }
  } catch (cause) {
    const { code, syscall } = cause as NodeJS.ErrnoException
    if (syscall === undefined) throw cause
    yield unusable(path, new KestError('ERR_KEST_EVIDENCE', `it cannot be read: ${code}`, { cause }))
    return
  }
  if (judged === 0) yield unusable(path, new KestError('ERR_KEST_EVIDENCE', 'there is no evidence in it'))
}

async function inFolder(
  { path, passed }: FileInFolder,
  options: VerifyEvidenceOptions,
): Promise<Verdict | PassedOver> {
  if (passed !== null)
    return unusable(
      path,
      new KestError(passed.code === 'limit' ? 'ERR_KEST_LIMIT' : 'ERR_KEST_EVIDENCE', passed.why),
    )
  const promised = path.endsWith('.json')
  let text: string
  try {
    const bytes = await readBeginning(path)
    const why = noText(bytes)
    if (why !== null && !promised && !isMarked(bytes)) return { file: path, why }
    if (bytes.length > MAX_FILE_BYTES) return unusable(path, new KestError('ERR_KEST_LIMIT', why as string))
    text = textOf(bytes)
  } catch (error) {
    return unusable(path, error)
  }
  return isMeant(text, promised)
    ? await judgeText(path, text, options)
    : { file: path, why: 'it is something else' }
}

/** Why what was read of a file is no text that can be judged; `null` when it is one. */
function noText(bytes: Buffer): string | null {
  if (bytes.length > MAX_FILE_BYTES) return `more than ${MAX_FILE_BYTES} bytes, which is all that is read`
  return isUtf8(bytes) ? null : 'it is not UTF-8'
}

function isMarked(content: Buffer | string): boolean {
  return MARKS.some((mark) => content.includes(mark))
}

/** Whether a text is evidence, right or wrong, or was that before somebody damaged it. */
function isMeant(text: string, promised: boolean): boolean {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return promised || isMarked(text)
  }
  if (typeof value !== 'object' || value === null) return false
  const { format } = value as { readonly format?: unknown }
  return 'passport' in value || (typeof format === 'string' && `"${format}`.startsWith(MARK))
}

function unusable(file: string, error: unknown): Verdict {
  return fails(file, error, true)
}

/** What cannot be looked at, whoever reads it says why. */
async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
