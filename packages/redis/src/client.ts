import { RESP_TYPES } from '@redis/client'

/** The commands that are used. Values are bytes, where the client is told so. */
export interface RedisCommands {
  getRange(key: string, start: number, end: number): Promise<unknown>
  set(
    key: string,
    value: Buffer,
    options: { condition: 'NX'; expiration: { type: 'PX'; value: number } },
  ): Promise<unknown>
}

/** A client of `redis` or `@redis/client`, from 5 on: a single one, a pool, a cluster, or one that follows Sentinel. */
export interface RedisClientLike {
  withTypeMapping(mapping: { [RESP_TYPES.BLOB_STRING]: typeof Buffer }): RedisCommands
}

/** The same client, answering bytes. */
export function answeringBytes(client: RedisClientLike): RedisCommands {
  return client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
}
