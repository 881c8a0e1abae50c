import type { Place } from '../span/exported-span.js'
import { isJaegerAnswer, readJaegerJson } from '../span/jaeger-json.js'
import { exportIn, isOtherSignal, type OtlpSpans, readOtlpJson } from '../span/otlp-json.js'
import { parseJson } from '../span/parse-json.js'
import { NotJson } from '../span/unreadable.js'
import { spansOfEntries } from './entries.js'

/** A JWS compact string; none of ours has shorter parts. */
const ENTRY = /^ey[\w-]{8,}\.[\w-]{32,}\.[\w-]{32,}$/
/** Logs, metrics or profiles, which a Collector may write beside spans. */
export const OTHER_SIGNAL = 'other signal'

/**
 * What a text holds: an OTLP/JSON export or a list of them, what Jaeger or Tempo answers, an entry alone (a JWS compact string), or a passport (a JSON array of such).
 *
 * @param bytes without white space around it
 * @throws {Unreadable} for anything else; {@link NotJson} for what is not even JSON
 * @throws {TooManyParts} before it takes more memory than an export may
 */
export function readExportText(bytes: Buffer, place: Place): OtlpSpans | typeof OTHER_SIGNAL {
  if (bytes[0] === 0x65) {
    const entry = bytes.toString('latin1')
    if (ENTRY.test(entry)) return entries([entry], place)
    throw new NotJson('it is neither JSON nor a JWS compact string')
  }
  const value = parseJson(bytes)
  if (!Array.isArray(value)) return readOne(value, place)
  if (value.every((jws) => typeof jws === 'string')) return entries(value, place)
  const all = value.map((one: unknown) => readOne(one, place)).filter((one) => one !== OTHER_SIGNAL)
  return {
    spans: all.flatMap(({ spans }) => spans),
    others: all.reduce((sum, { others }) => sum + others, 0),
    faults: all.flatMap(({ faults = [] }) => faults),
  }
}

function readOne(value: unknown, place: Place): OtlpSpans | typeof OTHER_SIGNAL {
  if (isOtherSignal(value)) return OTHER_SIGNAL
  const origin = { place, receivedAt: null }
  if (isJaegerAnswer(value)) return readJaegerJson(value, origin)
  const { export: whole, faults } = exportIn(value)
  return { ...readOtlpJson(whole, origin), faults }
}

function entries(list: readonly string[], place: Place): OtlpSpans {
  return { spans: spansOfEntries(list, place), others: 0 }
}
