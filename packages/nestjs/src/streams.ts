import { StreamableFile } from '@nestjs/common'

/** Runs something in the operation. */
export type Run = <T>(fn: () => T) => T

/** A stream of Node, as far as it is asked for more. */
interface Pulled {
  _read(size: number): void
}

/**
 * An answer that is a stream, or has one, so that it is read in the operation: it does its work when the platform reads it,
 * and the platform does so in the state of the request. Streams of Node are changed, those of the web are read through another.
 */
export function streamInside(run: Run, answer: unknown): unknown {
  if (isWebStream(answer)) return readThrough(run, answer)
  if (isResponse(answer))
    return isWebStream(answer.body) ? new Response(readThrough(run, answer.body), answer) : answer
  const stream: unknown = answer instanceof StreamableFile ? answer.getStream() : answer
  if (has(stream, '_read') && has(stream, 'pipe')) pullInside(run, stream as Pulled)
  return answer
}

function has(value: unknown, method: string): boolean {
  return typeof (value as Record<string, unknown> | null | undefined)?.[method] === 'function'
}

/** One that nobody reads yet. */
function isWebStream(value: unknown): value is ReadableStream {
  return has(value, 'getReader') && has(value, 'pipeThrough') && !(value as ReadableStream).locked
}

/** As Fastify tells one: that of Node, or of undici. */
function isResponse(value: unknown): value is Response {
  return Object.prototype.toString.call(value) === '[object Response]'
}

function pullInside(run: Run, stream: Pulled): void {
  const read = stream._read
  stream._read = (size) => run(() => Reflect.apply(read, stream, [size]))
}

/** Asks for a piece when one is asked for, and not before. */
function readThrough(run: Run, stream: ReadableStream): ReadableStream {
  const reader = stream.getReader()
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await run(() => reader.read())
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => run(() => reader.cancel(reason)),
    },
    { highWaterMark: 0 },
  )
}
