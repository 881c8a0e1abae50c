import { KestConfigError } from '@kest/core'
import type { FastifyInstance } from 'fastify'

/**
 * Plugins that do their work in `onRequest`, for every request: answer preflights, set headers of each answer, count or
 * shed requests. Behind Kest they would do so only for those that it lets in.
 */
const EARLIER = [
  '@fastify/cors',
  '@fastify/helmet',
  '@fastify/rate-limit',
  '@fastify/under-pressure',
] as const

/** Which of them an instance has. */
export function earlierPlugins(instance: FastifyInstance): ReadonlySet<string> {
  return new Set(EARLIER.filter((name) => instance.hasPlugin(name)))
}

/**
 * One of them that an instance has got since; `undefined` if it has none. What the instance around got meanwhile is for
 * others: its hooks were handed down before.
 */
export function misplacedPlugin(instance: FastifyInstance, before: ReadonlySet<string>): string | undefined {
  const around = Object.getPrototypeOf(instance) as Partial<FastifyInstance>
  return [...earlierPlugins(instance)].find((name) => !before.has(name) && around.hasPlugin?.(name) !== true)
}

/** @throws {KestConfigError} when there is a plugin that came too late */
export function assertOrder(misplaced: string | undefined): void {
  if (misplaced === undefined) return
  throw new KestConfigError(
    `kestFastify: ${misplaced} was registered after it, and would see no request that Kest refuses; ` +
      `await its registration first: ${EARLIER.join(', ')}, then kestFastify, then everything else`,
  )
}
