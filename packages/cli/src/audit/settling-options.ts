import type { SettlingOptions } from '@kest/audit'
import { parseSeconds } from '../arguments/seconds.js'
import { UsageError } from '../arguments/usage-error.js'

/** When a trace is judged, of an audit that goes on. */
export const SETTLING_OPTIONS = {
  settle: {
    type: 'string',
    value: 'SECONDS',
    help: 'A trace is judged when nothing came for so long; 30 by default.',
  },
  'max-age': {
    type: 'string',
    value: 'SECONDS',
    help: 'And so long after its first span at the latest; 600 by default.',
  },
  'max-open': {
    type: 'string',
    value: 'COUNT',
    help: 'Traces that are open (in a partition); beyond, the oldest are judged early, and again when more comes. 100000 by default.',
  },
} as const

type Values = { readonly [Name in keyof typeof SETTLING_OPTIONS]?: string }

/** @throws {UsageError} for what is none */
export function settlingOf(values: Values): SettlingOptions {
  const { settle, 'max-age': maxAge, 'max-open': maxOpen } = values
  return {
    ...(settle === undefined ? {} : { settleMs: milliseconds('settle', settle) }),
    ...(maxAge === undefined ? {} : { maxAgeMs: milliseconds('max-age', maxAge) }),
    ...(maxOpen === undefined ? {} : { maxOpen: parseCount('max-open', maxOpen) }),
  }
}

/** @throws {UsageError} for what is none */
export function parseCount(option: string, value: string): number {
  if (/^[1-9]\d{0,8}$/.test(value)) return Number(value)
  throw new UsageError(`--${option}: expected a number from 1, got "${value}"`)
}

function milliseconds(option: string, value: string): number {
  return Math.max(1, Math.round(parseSeconds(option, value)))
}
