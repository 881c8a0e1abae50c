import { maxHeaderSize } from 'node:http'
import { ask } from './ask.js'
import { type Finding, finding } from './finding.js'
import type { Settings } from './settings.js'

/** What Kest sends at most, unless it is told otherwise (K-SIZE). */
const KEST_BYTES = 8_192
/** What Node takes unless it is told otherwise; of it, what else comes has a share. */
const NODE_BYTES = 16_384
/** Answers that say nothing of what was asked. */
const BUSY: readonly number[] = [429, 503]
/** Refusals of a request as such, of which one more, because of its size, could not be told: 494 is nginx's. */
const OF_REQUESTS: readonly number[] = [400, 413, 431, 494]
/** Bytes of `baggage` that are tried, one after the other. */
const TRIED = [1_024, 2_048, 4_096, 6_144, KEST_BYTES, 12_288, 15_360, 24_576, 32_768] as const

/**
 * Whether request headers of the size that a passport may have are taken: by Node as it is started here, and by what stands
 * before the service, which is asked with a growing `baggage`. Does *not* show that the header is handed on.
 */
export async function checkHeaders(
  { front }: Settings,
  signal: AbortSignal,
  ofNode: number = maxHeaderSize,
): Promise<readonly Finding[]> {
  const node =
    ofNode < NODE_BYTES
      ? finding('headers', 'headers-node', `Node takes ${ofNode} bytes of request headers`)
      : finding('headers', 'headers-pass', `Node takes ${ofNode} bytes of request headers`)
  if (front === null) return [node, finding('headers', 'headers-not-told', 'no server in front was named')]
  return [node, await ofFront(front, signal)]
}

async function ofFront(front: URL, signal: AbortSignal): Promise<Finding> {
  const name = `${front.origin}${front.pathname}`
  const plain = await statusOf(front, 0, signal)
  if (typeof plain === 'string')
    return finding('headers', 'headers-front-unreachable', `${name} does not answer: ${plain}`)
  if (plain >= 500 || [...BUSY, ...OF_REQUESTS].includes(plain))
    return finding('headers', 'headers-unclear', `${name} answers ${plain}, without any baggage`)
  let passed = 0
  for (const bytes of TRIED) {
    const status = await statusOf(front, bytes, signal)
    if (status !== plain) return stopped(name, passed, bytes, status)
    passed = bytes
  }
  return finding('headers', 'headers-pass', `${name} takes a baggage of ${passed} bytes`)
}

function stopped(name: string, passed: number, bytes: number, status: number | string): Finding {
  const how = typeof status === 'string' ? `does not answer (${status})` : `answers ${status}`
  const message = `${name} takes a baggage of ${passed} bytes; with ${bytes} it ${how}`
  if (typeof status === 'number' && BUSY.includes(status))
    return finding('headers', 'headers-unclear', message)
  return finding('headers', passed >= KEST_BYTES ? 'headers-pass' : 'headers-front-small', message)
}

/** What it answers with so many bytes of baggage, or why it does not. The member is nobody's. */
async function statusOf(url: URL, bytes: number, signal: AbortSignal): Promise<number | string> {
  const key = 'probe='
  const headers = bytes === 0 ? {} : { baggage: key.padEnd(bytes, '0') }
  try {
    return (await ask(url, { headers, signal })).status
  } catch (error) {
    if (signal.aborted) throw error
    return (error as NodeJS.ErrnoException).code ?? (error as Error).message
  }
}
