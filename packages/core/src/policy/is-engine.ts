import type { PolicyEngine } from './engine.js'

/** Whether it can be asked; one that says that it can be asked at once, and cannot, is none. */
export function isEngine(value: unknown): value is PolicyEngine {
  const { evaluate, evaluateAll } = (value ?? {}) as {
    readonly evaluate?: unknown
    readonly evaluateAll?: unknown
  }
  return typeof evaluate === 'function' && (evaluateAll === undefined || typeof evaluateAll === 'function')
}
