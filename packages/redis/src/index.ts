export type { RedisClientLike, RedisCommands } from './client.js'
export type { RedisCacheOptions } from './options.js'
export { RedisCache } from './redis-cache.js'
