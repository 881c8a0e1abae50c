import type { BigIntStats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { openRegularFile } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { faultBatch, type SpanBatch } from '../read/batch.js'
import { readContent } from '../read/content.js'
import { type Kind, kindOf, SNIFFED_BYTES } from '../read/kind.js'
import { lookThrough } from '../read/look-through.js'
import { Tail } from './tail.js'

/** Under its path there is another by now: where it is, the next look will show. */
export class Replaced extends Error {
  override readonly name = 'Replaced'
}

/** How a file is, when it is looked at. */
export interface Look {
  readonly path: string
  /** Which it is, whatever its path. */
  readonly id: string
  readonly size: number
  readonly changedMs: number
}

export interface FollowedFileOptions {
  /** Whether it holds spans or is wrong, by its name or because somebody named it. */
  readonly named: boolean
  readonly maxLineBytes: number
}

type State =
  /** Too little of it is there to know what it is. */
  | { readonly is: 'unknown' }
  /** Lines, or messages: read as they come. */
  | { readonly is: 'growing'; readonly tail: Tail }
  /** One text, or compressed: read when nobody writes any more, and again when somebody did. */
  | { readonly is: 'whole'; readonly read: Look | null }
  /** It had no spans when it was so large. */
  | { readonly is: 'text'; readonly size: number }
  /** It is not read, which was said. */
  | { readonly is: 'passed'; readonly path: string; readonly size: number }

/** One file, whatever it is called meanwhile. */
export class FollowedFile {
  readonly #options: FollowedFileOptions
  #state: State = { is: 'unknown' }
  #last: Look
  #sinceMs: number

  constructor(look: Look, nowMs: number, options: FollowedFileOptions) {
    this.#options = options
    this.#last = { ...look, size: -1 }
    this.#sinceMs = nowMs
  }

  get path(): string {
    return this.#last.path
  }

  /** Since when nothing was written, as far as was seen. */
  get quietSinceMs(): number {
    return this.#sinceMs
  }

  /** Open, so that it is there also when its name is not. */
  get handle(): FileHandle | null {
    return this.#state.is === 'growing' ? this.#state.tail.handle : null
  }

  /**
   * What has come since it was last looked at.
   * @param isQuiet whether nobody has written for so long that it is whole
   */
  async *read(look: Look, nowMs: number, isQuiet: (look: Look) => boolean): AsyncGenerator<SpanBatch> {
    const { size, changedMs } = this.#last
    const changed = look.size !== size || look.changedMs !== changedMs
    if (changed) this.#sinceMs = nowMs
    this.#last = look
    if (this.#isAnother(look)) this.#state = { is: 'unknown' }
    if (this.#state.is === 'unknown' && (look.size >= SNIFFED_BYTES || (look.size > 0 && !changed)))
      yield* this.#recognize(look)
    if (this.#state.is === 'text' && look.size >= 2 * this.#state.size) yield* this.#lookAgain(look)
    const state = this.#state
    if (state.is === 'growing' && (changed || state.tail.offset < look.size))
      yield* this.#grow(state.tail, look)
    if (state.is === 'whole' && isOther(state.read, look) && isQuiet(look)) yield* this.#readWhole(look)
  }

  /** What is left of it, when nothing more of it is read. */
  async *end(): AsyncGenerator<SpanBatch> {
    const look = this.#last
    if (this.#state.is === 'unknown' && look.size > 0) yield* this.#recognize(look)
    if (this.#state.is === 'text' && look.size > this.#state.size) yield* this.#lookAgain(look)
    if (this.#state.is === 'whole' && isOther(this.#state.read, look)) yield* this.#readWhole(look)
    if (this.#state.is !== 'growing') return
    const { tail } = this.#state
    if (tail.offset < look.size) yield* this.#grow(tail, look)
    yield* tail.end()
    await this.close()
  }

  /** It is opened again when more comes. */
  async close(): Promise<void> {
    if (this.#state.is === 'growing') await this.#state.tail.close()
  }

  async *#recognize(look: Look): AsyncGenerator<SpanBatch> {
    const { path, size } = look
    const { named, maxLineBytes } = this.#options
    const sniffed = Math.min(SNIFFED_BYTES, size)
    const kind = kindOf(await beginningOf(look, sniffed), maxLineBytes)
    if (kind.is === 'sqlite') yield this.#pass(finding('unreadable', NO_SQLITE, { place: path }))
    else if (kind.is === 'other') yield this.#pass(finding('unreadable', kind.why, { place: path }))
    else if (isWhole(kind)) this.#state = { is: 'whole', read: null }
    else if (named || kind.is !== 'lines' || kind.ours) this.#follow(sniffed)
    else {
      const looks = await lookThrough(await openUpTo(look))
      if (looks === 'spans') this.#follow(sniffed)
      else if (looks === 'binary')
        yield this.#pass(finding('unreadable', 'nobody knows what it is', { place: path }))
      else {
        this.#state = { is: 'text', size }
        yield faultBatch(finding('skipped', 'it is a text that holds no spans', { place: path }))
      }
    }
  }

  /** What had no spans may have some now. */
  async *#lookAgain(look: Look): AsyncGenerator<SpanBatch> {
    const { path, size } = look
    const looks = await lookThrough(await openUpTo(look))
    if (looks === 'text') this.#state = { is: 'text', size }
    else if (looks === 'spans') this.#follow(Math.min(SNIFFED_BYTES, size))
    else yield this.#pass(finding('unreadable', 'nobody knows what it is', { place: path }))
  }

  async *#grow(tail: Tail, look: Look): AsyncGenerator<SpanBatch> {
    const { path, size } = look
    tail.handle ??= await openSame(look)
    if (size >= tail.offset && (await tail.isSame())) {
      yield* tail.read(size)
      return
    }
    yield* tail.end()
    const why = `it was shortened, or written anew, after ${tail.offset} bytes of it had been read: what came between is lost; it is read again from its beginning`
    yield faultBatch(finding('unreadable', why, { place: path }))
    await tail.close()
    this.#state = { is: 'unknown' }
  }

  async *#readWhole(look: Look): AsyncGenerator<SpanBatch> {
    const stream = await openUpTo(look)
    this.#state = { is: 'whole', read: look }
    yield* readContent(stream, look.path, this.#options.maxLineBytes)
  }

  /** Whether it has become another than what was not read: what a system calls a file by, it gives to others later. */
  #isAnother({ path, size }: Look): boolean {
    const state = this.#state
    if (state.is === 'text') return size < state.size
    return state.is === 'passed' && (path !== state.path || size < state.size)
  }

  #follow(sniffed: number): void {
    this.#state = { is: 'growing', tail: new Tail(this.path, sniffed, this.#options.maxLineBytes) }
  }

  #pass(fault: AuditFinding): SpanBatch {
    const { path, size } = this.#last
    this.#state = { is: 'passed', path, size }
    return faultBatch(fault)
  }
}

const NO_SQLITE = 'SQLite files are not followed: an audit without it reads them'

function isWhole({ is }: Kind): boolean {
  return is !== 'lines' && is !== 'messages'
}

function isOther(read: Look | null, look: Look): boolean {
  return read?.size !== look.size || read.changedMs !== look.changedMs
}

/** @throws {Replaced} */
async function openSame({ path, id }: Look): Promise<FileHandle> {
  const file = await openRegularFile(path)
  if (idOf(await file.stat({ bigint: true })) === id) return file
  await file.close()
  throw new Replaced('another file is in its place, and it is not to be found')
}

/** Which file it is. */
export function idOf({ dev, ino }: Pick<BigIntStats, 'dev' | 'ino'>): string {
  return `${dev}:${ino}`
}

async function beginningOf(look: Look, bytes: number): Promise<Buffer> {
  const file = await openSame(look)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

async function openUpTo(look: Look): Promise<ReturnType<FileHandle['createReadStream']>> {
  const file = await openSame(look)
  return file.createReadStream(look.size > 0 ? { end: look.size - 1 } : {})
}
