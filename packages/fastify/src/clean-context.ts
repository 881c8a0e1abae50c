import { type Kest, withoutKestBaggage } from '@kest/core'
import { type Context, context } from '@opentelemetry/api'
import type { FastifyRequest } from 'fastify'

/**
 * The active OpenTelemetry context without `kest.*` in its Baggage, where instrumentation has put what the request
 * came with (K-AMBIENT). Contexts that other plugins keep on the request, to re-enter them later, are cleaned as well.
 *
 * @param kest warns of what was there; default nobody
 */
export function cleanContext(request: FastifyRequest, kest?: Kest): Context {
  const slots = request as unknown as Record<PropertyKey, unknown>
  for (const key of Reflect.ownKeys(slots)) {
    const value = slots[key]
    if (!isContext(value)) continue
    const clean = withoutKestBaggage(value)
    if (clean !== value) slots[key] = clean
  }
  const active = context.active()
  return kest === undefined ? withoutKestBaggage(active) : kest.cleanContext(active)
}

function isContext(value: unknown): value is Context {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Context).getValue === 'function' &&
    typeof (value as Context).setValue === 'function' &&
    typeof (value as Context).deleteValue === 'function'
  )
}
