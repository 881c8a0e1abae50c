import { type PolicyDeniedCode, PolicyDeniedError } from '../errors.js'
import { inTime } from '../in-time.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { Decision, PolicyEngine, PolicyRequest } from './engine.js'
import { LazyAbort } from './lazy-abort.js'

/** Bounds on one question to an engine. */
export interface DecideOptions {
  readonly timeoutMs: number
  /** Aborts when whoever asked has left. */
  readonly signal: AbortSignal | null
}

/**
 * Asks once, without a retry (SPEC §11.1). Returns only when the engine allowed; there is no other way past.
 *
 * @returns why it allowed, if it says so
 * @throws {PolicyDeniedError} `ERR_KEST_DENIED` (the answer is no), `ERR_KEST_ENGINE` (it threw),
 * `ERR_KEST_ENGINE_TIMEOUT`, `ERR_KEST_ENGINE_ANSWER` (not a decision).
 * @throws {KestError} `ERR_KEST_ABORTED` when `signal` aborts first.
 */
export function decide(
  engine: PolicyEngine,
  request: PolicyRequest,
  options: DecideOptions,
): MaybePromise<string | undefined> {
  const work = new LazyAbort()
  let answer: MaybePromise<unknown>
  try {
    answer = engine.evaluate(request, work)
  } catch (cause) {
    throw failed(request, cause)
  }
  if (!isPromise(answer)) return judge(answer, request)
  // What an engine answers may be a promise of another kind, with nothing but then().
  const asked = Promise.resolve(answer).catch((cause: unknown) => {
    throw failed(request, cause)
  })
  return inTime(asked, {
    ms: options.timeoutMs,
    signal: options.signal,
    what: 'the policy was decided',
    late: (ms) => denied('ERR_KEST_ENGINE_TIMEOUT', request, { reason: `no decision within ${ms} ms` }),
    onGivenUp: (reason) => work.abort(reason),
  }).then((settled) => judge(settled, request))
}

function judge(answer: unknown, request: PolicyRequest): string | undefined {
  if (answer === true) return undefined
  if (answer === false) throw denied('ERR_KEST_DENIED', request)
  if (typeof answer !== 'object' || answer === null || typeof (answer as Decision).allow !== 'boolean') {
    throw denied('ERR_KEST_ENGINE_ANSWER', request)
  }
  const { allow, reason: words } = answer as Decision
  const reason = typeof words === 'string' ? words : undefined
  if (allow) return reason
  throw denied('ERR_KEST_DENIED', request, { reason })
}

/** What an engine threw. A refusal that it typed itself keeps its code. */
function failed(request: PolicyRequest, cause: unknown): PolicyDeniedError {
  if (cause instanceof PolicyDeniedError) return cause
  return denied('ERR_KEST_ENGINE', request, { cause })
}

function denied(
  code: PolicyDeniedCode,
  request: PolicyRequest,
  details: { readonly cause?: unknown; readonly reason?: string | undefined } = {},
): PolicyDeniedError {
  const { policies, entryId } = request
  return new PolicyDeniedError(code, { ...details, policies, entryId })
}
