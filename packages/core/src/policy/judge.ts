import { type PolicyDeniedCode, PolicyDeniedError } from '../errors.js'
import type { Decision, PolicyRequest } from './engine.js'

/**
 * What an engine answered to one question. Returns only when it allowed; there is no other way past.
 *
 * @param onDecision told, of an answer that is a decision, what it says of the text that decided
 * @returns why it allowed, if it says so
 * @throws {PolicyDeniedError} `ERR_KEST_DENIED` (the answer is no), `ERR_KEST_ENGINE_ANSWER` (not a decision)
 */
export function judge(
  answer: unknown,
  request: PolicyRequest,
  onDecision?: (revision: unknown) => void,
): string | undefined {
  const { allow, reason, revision } = read(answer, request)
  if (typeof allow === 'boolean') onDecision?.(revision)
  if (allow === true) return reason
  if (allow === false) throw denied('ERR_KEST_DENIED', request, { reason })
  throw denied('ERR_KEST_ENGINE_ANSWER', request)
}

/** What an engine threw. A refusal that it typed itself keeps its code. */
export function failed(request: PolicyRequest, cause: unknown): PolicyDeniedError {
  if (cause instanceof PolicyDeniedError) return cause
  return denied('ERR_KEST_ENGINE', request, { cause })
}

export function denied(
  code: PolicyDeniedCode,
  request: PolicyRequest,
  details: { readonly cause?: unknown; readonly reason?: string | undefined } = {},
): PolicyDeniedError {
  const { policies, entryId } = request
  return new PolicyDeniedError(code, { ...details, policies, entryId })
}

/** Each member once: one that is computed may say something else the next time. */
function read(
  answer: unknown,
  request: PolicyRequest,
): { readonly allow: unknown; readonly reason?: string | undefined; readonly revision?: unknown } {
  if (typeof answer !== 'object' || answer === null) return { allow: answer }
  try {
    const { allow, reason, revision } = answer as Decision
    return { allow, reason: typeof reason === 'string' ? reason : undefined, revision }
  } catch (cause) {
    throw denied('ERR_KEST_ENGINE_ANSWER', request, { cause })
  }
}
