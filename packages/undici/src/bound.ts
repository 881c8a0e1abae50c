import { stringify } from 'node:querystring'
import { type InContext, isPromise, KestError, type MaybePromise, Pieces, type SentRequest } from '@kest/core'
import type { DispatchOptions } from './dispatcher.js'

/** A dispatch whose token is bound to it: what it is told to send, and what that will be on the wire. */
export interface Bound {
  readonly sent: SentRequest | undefined
  readonly options: DispatchOptions
}

type Chunks = readonly (Uint8Array | string)[]

/**
 * What a dispatch will send, for its hop token (K-BODY). The query is written into the path, as undici does it later; what can be
 * read once is read here, and replaced by what it was.
 *
 * @param limit bytes that a body may have; `null`: it is not bound
 * @throws {KestError} `ERR_KEST_OUTBOUND` for a body that is longer, or whose bytes are made only when it is written
 */
export function bindable(
  options: DispatchOptions,
  limit: number | null,
  own: InContext,
): MaybePromise<Bound> {
  const { query, ...rest } = options
  const path = withQuery(options.path, query)
  const told = path === options.path ? options : { ...rest, path }
  const method = String(options.method ?? 'GET')
  const finish = (body: unknown, chunks?: Chunks): Bound => ({
    sent: { method, path, body: chunks },
    options: body === options.body ? told : { ...told, body },
  })
  if (limit === null) return finish(options.body)
  const content = contentOf(options.body, limit, own)
  if (!isPromise(content)) return finish(options.body, assertFits(content, limit))
  return content.then((chunks) => {
    const body = isBlob(options.body) ? options.body : Buffer.concat(chunks as readonly Uint8Array[])
    return finish(body, chunks)
  })
}

function withQuery(path: unknown, query: unknown): string {
  const text = String(path)
  if (query === undefined || query === null) return text
  // undici refuses a path that has one already, in words of its own.
  const written = stringify(query as Record<string, string>)
  return written === '' || /[?#]/.test(text) ? text : `${text}?${written}`
}

function contentOf(body: unknown, limit: number, own: InContext): MaybePromise<Chunks> {
  if (body === undefined || body === null) return []
  if (typeof body === 'string') return [body]
  if (ArrayBuffer.isView(body)) return [new Uint8Array(body.buffer, body.byteOffset, body.byteLength)]
  if (isNamed(body, 'ArrayBuffer')) return [new Uint8Array(body as ArrayBuffer)]
  if (isBlob(body)) {
    if (body.size > limit) throw tooLong(limit)
    return body.arrayBuffer().then((buffer) => [new Uint8Array(buffer)])
  }
  if (!isNamed(body, 'FormData') && isIterable(body)) return own(() => readAll(body, limit))
  throw unreadable('the bytes of this one are made when it is written: give a Buffer, or call fetch')
}

/** @returns chunks that together fit; what gives more is told to end, and not waited for */
async function readAll(body: AsyncIterable<unknown> | Iterable<unknown>, limit: number): Promise<Chunks> {
  const pieces = new Pieces()
  const iterator = iteratorOf(body)
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    const bytes = bytesOf(next.value)
    if (bytes !== undefined) pieces.add(bytes)
    if (bytes !== undefined && pieces.length <= limit) continue
    // That of a fetch never answers.
    void Promise.resolve(iterator.return?.()).catch(() => undefined)
    throw bytes === undefined
      ? unreadable(`a body gave ${typeof next.value}, which is neither text nor bytes`)
      : tooLong(limit)
  }
  return pieces.list()
}

function iteratorOf(
  body: AsyncIterable<unknown> | Iterable<unknown>,
): AsyncIterator<unknown> | Iterator<unknown> {
  return Symbol.asyncIterator in body ? body[Symbol.asyncIterator]() : body[Symbol.iterator]()
}

/** A copy: who gives a chunk may use its memory for the next. `undefined` for what is neither text nor bytes. */
function bytesOf(chunk: unknown): Uint8Array | undefined {
  if (typeof chunk === 'string') return Buffer.from(chunk)
  if (ArrayBuffer.isView(chunk))
    return Buffer.from(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength))
  return isNamed(chunk, 'ArrayBuffer') ? Buffer.from(new Uint8Array(chunk as ArrayBuffer)) : undefined
}

function unreadable(what: string): KestError {
  return new KestError('ERR_KEST_OUTBOUND', `dispatch: the hop token binds the body, and ${what} (K-BODY)`)
}

function assertFits(chunks: Chunks, limit: number): Chunks {
  const length = chunks.reduce((sum, chunk) => sum + Buffer.byteLength(chunk), 0)
  if (length > limit) throw tooLong(limit)
  return chunks
}

function tooLong(limit: number): KestError {
  return unreadable(`it has more than ${limit} bytes (hop.maxBodyBytes)`)
}

function isBlob(body: unknown): body is Blob {
  return isNamed(body, 'Blob') || isNamed(body, 'File')
}

function isNamed(body: unknown, name: string): boolean {
  return Object.prototype.toString.call(body) === `[object ${name}]`
}

function isIterable(body: unknown): body is AsyncIterable<unknown> | Iterable<unknown> {
  const value = body as Partial<AsyncIterable<unknown> & Iterable<unknown>>
  return typeof value[Symbol.asyncIterator] === 'function' || typeof value[Symbol.iterator] === 'function'
}
