import type { PolicyEngine } from './engine.js'

/** Whether it can be asked; one that says that it can be asked at once, or aside, and cannot, is none. */
export function isEngine(value: unknown): value is PolicyEngine {
  if (!isAsked(value)) return false
  const { aside } = value as { readonly aside?: unknown }
  return aside === undefined || isAsked(aside)
}

function isAsked(value: unknown): boolean {
  const { evaluate, evaluateAll } = (value ?? {}) as {
    readonly evaluate?: unknown
    readonly evaluateAll?: unknown
  }
  return typeof evaluate === 'function' && (evaluateAll === undefined || typeof evaluateAll === 'function')
}
