import type { LogRecord, NewRecord } from '../log/log.js'

/** What a stage knows, as it is written for whoever comes next. */
export interface StateRecord {
  readonly key: string
  /** `null`: it is of no use any more. */
  readonly value: unknown
}

export function encodeState(topic: string, partition: number, { key, value }: StateRecord): NewRecord {
  return { topic, partition, key, value: value === null ? null : Buffer.from(JSON.stringify(value)) }
}

/** @returns `null` for what is none: others may write into the topic */
export function decodeState({ key, value }: Pick<LogRecord, 'key' | 'value'>): StateRecord | null {
  if (key === null) return null
  if (value === null) return { key, value: null }
  try {
    return { key, value: JSON.parse(value.toString('utf8')) }
  } catch {
    return null
  }
}
