import type { PolicyEngine } from './engine.js'

/** Whether it can be asked; one that says that it can be asked at once, aside, or for its revision, and cannot, is none. */
export function isEngine(value: unknown): value is PolicyEngine {
  if (!isAsked(value)) return false
  const { aside } = value as { readonly aside?: unknown }
  return aside === undefined || isAsked(aside)
}

function isAsked(value: unknown): boolean {
  const { evaluate, evaluateAll, revision } = (value ?? {}) as {
    readonly evaluate?: unknown
    readonly evaluateAll?: unknown
    readonly revision?: unknown
  }
  if (revision !== undefined && typeof revision !== 'function') return false
  return typeof evaluate === 'function' && (evaluateAll === undefined || typeof evaluateAll === 'function')
}
