import { setTimeout as wait } from 'node:timers/promises'
import { stringSerializers } from '@platformatic/kafka'
import type { NewRecord } from './log.js'

/** Keys and headers are texts. */
export const SERIALIZERS = { ...stringSerializers, value: (value?: Buffer) => value }

export function messageOf({ topic, partition, key, value, headers = {} }: NewRecord) {
  return {
    topic,
    key,
    headers: { ...headers },
    ...(value === null ? {} : { value }),
    ...(partition === undefined ? {} : { partition }),
  }
}

export function topicsOf(records: readonly NewRecord[]): string {
  return `writing to ${[...new Set(records.map(({ topic }) => topic))].join(', ')}`
}

/** Ends a client; what it says of connections that are gone is of no use. */
export async function closed(client: { close(force: boolean): Promise<void> | void }): Promise<void> {
  try {
    await Promise.race([client.close(true), wait(CLOSE_MS, undefined, { ref: false })])
  } catch {}
}

/** A client may wait for brokers that are not there. */
const CLOSE_MS = 5_000
