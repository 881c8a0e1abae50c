import { ATTRIBUTE } from '@kest/core'
import type { Attributes } from '@opentelemetry/api'
import type { ReadableSpan } from '../../spans/readable-span.js'
import { type Destination, serialized } from '../destination.js'

/** One line for a person to read per span, on standard output: for development, and no audit trail. */
export class ConsoleDestination implements Destination {
  readonly name = 'console'

  write(spans: readonly ReadableSpan[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const lines = serialized(() => spans.map(lineOf).join(''))
      process.stdout.write(lines, (error) => (error ? reject(error) : resolve()))
    })
  }

  async close(): Promise<void> {}
}

/** Quoted as JSON, because names may come from strangers: nothing of it steers a terminal. */
function lineOf(span: ReadableSpan): string {
  const { attributes, resource } = span
  const allowed = attributes[ATTRIBUTE.decision] === 'allow'
  const facts: Attributes = {
    service: resource.attributes['service.name'] as string,
    operation: attributes[ATTRIBUTE.operation],
    entry: attributes[ATTRIBUTE.entryId],
    ...(allowed
      ? { trust: attributes[ATTRIBUTE.trustScore], tip: attributes[ATTRIBUTE.chainTip] }
      : { error: attributes[ATTRIBUTE.errorType] }),
    reason: attributes[ATTRIBUTE.reason],
    parents: attributes[ATTRIBUTE.parentHash],
    trace: span.spanContext().traceId,
  }
  const shown = Object.entries(facts).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${typeof value === 'number' ? value : quote(String(value))}`],
  )
  return `kest ${allowed ? 'allow' : 'deny '} ${shown.join(' ')}\n`
}

/** JSON leaves DEL and the C1 controls as they are; terminals do not. */
function quote(value: string): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
