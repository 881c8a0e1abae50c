import { describe, expect, it } from 'vitest'
import type { ExportedSpan } from '../span/exported-span.js'
import { lineageKey, UNTRACED } from './lineage-key.js'

const SIGNED = '1'.repeat(32)
const OTHER = '2'.repeat(32)
const CLAIMED = '3'.repeat(32)

function keyOf(payload: string | Buffer): string {
  const signature = `eyJhbGciOiJFZERTQSJ9.${Buffer.from(payload).toString('base64url')}.c2lnbmF0dXJl`
  const span: ExportedSpan = {
    name: '',
    traceId: CLAIMED,
    spanId: null,
    service: null,
    claims: { signature },
    receivedAt: null,
    place: { file: 'spans.jsonl', line: 1 },
  }
  return lineageKey(span)
}

describe('the trace of an entry', () => {
  it.each([
    [
      'among other labels',
      `{"labels":{"kest.seq":"a:1","principal":"p","trace_id":"${SIGNED}"},"metadata":null}`,
    ],
    ['alone', `{"labels":{"trace_id":"${SIGNED}"}}`],
    [
      'beside labels that look like it',
      `{"labels":{"a":"trace_id","x.trace_id":"${OTHER}","trace_id":"${SIGNED}"}}`,
    ],
    ['beside labels with escapes', `{"labels":{"a":"\\"trace_id\\":\\"${OTHER}\\"","trace_id":"${SIGNED}"}}`],
    ['beside labels that are not ASCII', `{"labels":{"ä":"日本","trace_id":"${SIGNED}"}}`],
    [
      'beside ids of other objects',
      `{"labels":{"trace_id":"${SIGNED}"},"otel_context":{"trace_id":"${OTHER}"}}`,
    ],
    [
      'beside other objects of that name, after',
      `{"labels":{"trace_id":"${SIGNED}"},"metadata":{"labels":{"trace_id":"${OTHER}"}}}`,
    ],
    [
      'beside other objects of that name, before',
      `{"environment":{"labels":{"trace_id":"${OTHER}"}},"labels":{"trace_id":"${SIGNED}"}}`,
    ],
    ['with white space', `{ "labels" : { "trace_id" : "${SIGNED}" } }`],
    ['of two, the last', `{"labels":{"trace_id":"${OTHER}","trace_id":"${SIGNED}"}}`],
  ])('is that of its labels, %s', (_, payload) => {
    expect(keyOf(payload)).toBe(SIGNED)
  })

  it.each([
    ['it names none', '{"labels":{"principal":"p"},"otel_context":{"trace_id":"4"}}'],
    ['it has no labels in them', `{"labels":{},"otel_context":{"trace_id":"${OTHER}"}}`],
    [
      'what it names is none',
      `{"labels":{"trace_id":"${SIGNED.slice(1)}"},"otel_context":{"trace_id":"${OTHER}"}}`,
    ],
    ['what it names is none of ours', `{"labels":{"trace_id":"${'A'.repeat(32)}"}}`],
  ])('is none when %s', (_, payload) => {
    expect(keyOf(payload)).toBe(UNTRACED)
  })

  it.each([
    ['it is no JSON', '{"labels":'],
    ['it has no labels', `{"otel_context":{"trace_id":"${OTHER}"}}`],
    ['it is not even text', Buffer.from([0xff, 0xfe])],
    ['it is longer than any', `{"labels":{"trace_id":"x${'x'.repeat(100_000)}"`],
  ])('is the one that its span claims when %s', (_, payload) => {
    expect(keyOf(payload)).toBe(CLAIMED)
  })
})
