import type { ClientRequest } from 'node:http'
import { isPromise, KestError, type MaybePromise } from '@kest/core'

/**
 * The header of a request, where Node wrote it when it made the request: headers that are a list, and `Expect`. Nothing can
 * be added to it any more. `patchHttp` keeps both back; a `request` that was taken out of its module before, and an agent
 * alone, cannot.
 */
export function writtenHeader(request: ClientRequest): string | null {
  const { _header } = request as unknown as { readonly _header: unknown }
  return typeof _header === 'string' ? _header : null
}

/** Destroys a request whose header is written, and is not what it would have to be. */
export function checkWritten(
  request: ClientRequest,
  header: string,
  decide: (lines: readonly string[]) => MaybePromise<string | undefined>,
): void {
  const lines = Array.from(header.matchAll(/^baggage:(.*?)\r?$/gim), ([, value]) => value as string)
  try {
    const baggage = decide(lines)
    if (isPromise(baggage)) {
      // Whether it could be stored or signed does not matter any more.
      baggage.then(undefined, () => undefined)
      throw tooLate()
    }
    if (members(baggage ?? '') !== members(lines.join())) throw tooLate()
  } catch (error) {
    request.destroy(error as Error)
  }
}

function members(baggage: string): string {
  return baggage
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '')
    .join()
}

function tooLate(): KestError {
  return new KestError(
    'ERR_KEST_OUTBOUND',
    'request: its headers are a list, or expect an answer before the body, and were written before Kest saw them: call patchHttp() before others take http.request',
  )
}
