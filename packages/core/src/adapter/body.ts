import type { Readable } from 'node:stream'
import type { ReadBody } from '../binding/request-check.js'
import { refused } from '../binding/token-check.js'
import { KestConfigError, KestError } from '../errors.js'
import type { ArrivedRequest, ArrivedResponse } from '../ingress/arrived.js'
import { Pieces } from './pieces.js'

/** What is read of Node's requests, of either HTTP, and of what stands in for them. */
type Body = Readable & Pick<ArrivedRequest, 'headers'> & { readonly upgrade?: unknown }

/**
 * For adapters: reads the content of a request before anything else does, and leaves it in the stream, as if nobody had (K-BODY).
 * However often it is asked for, it is read once.
 *
 * @param limit what the framework takes, if it has a bound of its own
 * @returns `undefined` where a request is no stream of Node's, and nothing can be read
 */
export function bodyOf(
  request: ArrivedRequest,
  response: ArrivedResponse,
  limit = Number.POSITIVE_INFINITY,
): ReadBody | undefined {
  if (!isReadable(request)) return undefined
  let read: Promise<readonly Uint8Array[]> | undefined
  return (maxBytes) => {
    read ??= readAhead(request, response, Math.min(maxBytes, limit))
    return read
  }
}

async function readAhead(
  body: Body,
  response: ArrivedResponse,
  maxBytes: number,
): Promise<readonly Uint8Array[]> {
  // What follows is no content, and its stream never ends.
  if (body.upgrade === true) return []
  if (body.readableDidRead || body.readableFlowing === true) throw misplaced('read')
  if (Number(body.headers['content-length'] ?? 0) > maxBytes) throw tooLong(maxBytes)
  const pieces = new Pieces()
  try {
    await new Promise<void>((resolve, reject) => collect(body, pieces, maxBytes, resolve, reject))
  } finally {
    if (!hasAll(body)) {
      // Node lets what nobody has begun to read go by, for the next request to be read. This one was begun.
      if (response.writableEnded) body.resume()
      else response.once('close', () => body.resume())
    }
    for (const piece of pieces.list().toReversed()) body.unshift(piece)
    // What was begun to read is taken by nobody who hands it on whole: fetch, `Readable.toWeb`.
    stateOf(body).dataEmitted = false
  }
  // By then it is as if nobody had listened.
  await new Promise((resolve) => process.nextTick(resolve))
  return pieces.list()
}

function collect(
  body: Body,
  pieces: Pieces,
  maxBytes: number,
  resolve: () => void,
  reject: (error: KestError) => void,
): void {
  let settled = false
  const settle = (error?: KestError): void => {
    settled = true
    body.off('readable', take)
    body.off('close', gone)
    if (error === undefined) resolve()
    else reject(error)
  }
  const gone = (): void =>
    settle(new KestError('ERR_KEST_ABORTED', 'the caller left before the body had come'))
  function take(): void {
    while (body.readableLength > 0) {
      // By its length: asked for whatever there is, a stream that has ended says so, and takes nothing back.
      const chunk: unknown = body.read(body.readableLength)
      if (!(chunk instanceof Uint8Array)) settle(misplaced('read as text'))
      else {
        pieces.add(chunk)
        if (pieces.length > maxBytes) settle(tooLong(maxBytes))
      }
      if (settled) return
    }
    if (hasAll(body)) settle()
  }
  if (body.destroyed) {
    gone()
    return
  }
  // Who listens to a stream that has ended makes it say so.
  take()
  if (settled) return
  body.on('readable', take)
  body.on('close', gone)
}

/** Whether the end has come, read or not. A request of HTTP/1 says it as `complete`, others by the state of the stream alone. */
function hasAll(body: Body): boolean {
  return stateOf(body).ended
}

/** What a stream shows of itself in no other way. */
interface StreamState {
  readonly ended: boolean
  /** `readableDidRead` */
  dataEmitted: boolean
}

function stateOf(body: Body): StreamState {
  return (body as unknown as { readonly _readableState: StreamState })._readableState
}

function isReadable(request: ArrivedRequest): request is ArrivedRequest & Body {
  const {
    read,
    unshift,
    _readableState: state,
  } = request as Partial<Body> & { readonly _readableState?: object }
  return typeof read === 'function' && typeof unshift === 'function' && typeof state === 'object'
}

function misplaced(how: string): KestConfigError {
  return new KestConfigError(
    `the body of a request was ${how} before Kest could compare it (K-BODY): let Kest be first`,
  )
}

function tooLong(maxBytes: number): KestError {
  return refused(`the hop token binds a body of more than ${maxBytes} bytes`, { rule: 'K-BODY' })
}
