import { describe, expect, it, vi } from 'vitest'
import { KestError, PolicyDeniedError } from '../errors.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import { type AskOptions, ask } from './ask.js'
import type { PolicyContext, PolicyEngine, PolicyRequest } from './engine.js'

const request: PolicyRequest = { entryId: 'id', policies: ['p/one', 'p/two'], context: {} as PolicyContext }
const engine = (evaluate: PolicyEngine['evaluate']): PolicyEngine => ({ evaluate })

/** One question alone; comes back with the reason of the engine. */
function decide(
  asked: PolicyEngine,
  question: PolicyRequest,
  options: AskOptions,
): MaybePromise<string | undefined> {
  let reason: string | undefined
  const onAllowed = (_: PolicyRequest, words: string | undefined) => (reason = words)
  const asking = ask([{ engine: asked, request: question }], { ...options, onAllowed })
  return isPromise(asking) ? asking.then(() => reason) : reason
}

async function outcome(
  answer: PolicyEngine['evaluate'],
  timeoutMs = 1000,
  signal: AbortSignal | null = null,
) {
  try {
    await decide(engine(answer), request, { timeoutMs, signal })
    return 'allowed'
  } catch (error) {
    return error as PolicyDeniedError
  }
}

describe('one question', () => {
  it.each([[true], [{ allow: true }], [{ allow: true, reason: 'because' }]])(
    'allows on %j, at once or later',
    async (answer) => {
      expect(await outcome(() => answer)).toBe('allowed')
      expect(await outcome(async () => answer)).toBe('allowed')
    },
  )

  it('waits for a promise of any kind, and takes its failure for a denial', async () => {
    const thenable = (settle: (yes: (value: unknown) => void, no: (cause: unknown) => void) => void): never =>
      // biome-ignore lint/suspicious/noThenProperty: it is what is tested
      ({ then: settle }) as never
    expect(await outcome(() => thenable((yes) => yes(true)))).toBe('allowed')
    expect(await outcome(() => thenable((yes) => yes(false)))).toMatchObject({ code: 'ERR_KEST_DENIED' })
    expect(await outcome(() => thenable((_, no) => no(new Error('down'))))).toMatchObject({
      code: 'ERR_KEST_ENGINE',
    })
  })

  it('does not make a promise for an engine that answers at once', () => {
    expect(
      decide(
        engine(() => true),
        request,
        { timeoutMs: 1000, signal: null },
      ),
    ).toBeUndefined()
  })

  it.each([[false], [{ allow: false }]])('TC-07 denies on %j', async (answer) => {
    for (const evaluate of [() => answer, async () => answer]) {
      const error = await outcome(evaluate)
      expect(error).toBeInstanceOf(PolicyDeniedError)
      expect(error).toMatchObject({
        code: 'ERR_KEST_DENIED',
        statusCode: 403,
        policies: ['p/one', 'p/two'],
        entryId: 'id',
      })
    }
  })

  it('returns why the engine allowed, when it says so', async () => {
    for (const reason of [undefined, 'owner']) {
      const answer = { allow: true, ...(reason === undefined ? {} : { reason }) }
      for (const evaluate of [() => answer, async () => answer]) {
        expect(await decide(engine(evaluate), request, { timeoutMs: 1000, signal: null })).toBe(reason)
      }
    }
  })

  it('keeps the reason apart from the message', async () => {
    const error = await outcome(() => ({ allow: false, reason: 'embargo list 7' }))
    expect(error).toMatchObject({ reason: 'embargo list 7' })
    expect((error as Error).message).not.toContain('embargo')
  })

  it.each([[undefined], [null], ['true'], [1], [{}], [{ allow: 'yes' }], [{ result: true }], [[]]])(
    'NF-SEC-03 denies on the malformed answer %j',
    async (answer) => {
      for (const evaluate of [() => answer as boolean, async () => answer as boolean]) {
        expect(await outcome(evaluate)).toMatchObject({ code: 'ERR_KEST_ENGINE_ANSWER', statusCode: 503 })
      }
    },
  )

  it('NF-SEC-03 denies on an answer that cannot be read, or says another thing each time', async () => {
    let reads = 0
    const second = {
      get allow() {
        return reads++ > 0
      },
    }
    expect(await outcome(() => second)).toMatchObject({ code: 'ERR_KEST_DENIED' })
    const cause = new Error('unreadable')
    const answer = {
      get allow(): boolean {
        throw cause
      },
    }
    expect(await outcome(() => answer)).toMatchObject({ code: 'ERR_KEST_ENGINE_ANSWER', cause })
  })

  it('NF-SEC-03 denies when the engine throws or rejects, and keeps the cause', async () => {
    const cause = new Error('unreachable')
    for (const evaluate of [
      () => {
        throw cause
      },
      () => Promise.reject(cause),
    ]) {
      expect(await outcome(evaluate)).toMatchObject({ code: 'ERR_KEST_ENGINE', statusCode: 503, cause })
    }
  })

  it('has a message that names neither policies nor what an engine said', async () => {
    for (const evaluate of [
      () => false,
      () => ({ allow: false, reason: 'embargo' }),
      () => Promise.reject(new Error('opa at 10.0.0.7 is down')),
      () => 'yes' as never,
    ]) {
      expect(String(await outcome(evaluate))).not.toMatch(/p\/one|embargo|10\.0/)
    }
  })

  it('keeps the code of a refusal that the engine typed itself', async () => {
    const own = new PolicyDeniedError('ERR_KEST_ENGINE_ANSWER', {
      policies: ['p/one'],
      entryId: 'id',
    })
    expect(await outcome(() => Promise.reject(own))).toBe(own)
  })

  it('NF-SEC-03 denies when the engine does not answer in time, and aborts its work', async () => {
    let aborted: unknown
    const hangs: PolicyEngine['evaluate'] = (_, { signal }) =>
      new Promise(() => signal.addEventListener('abort', () => (aborted = signal.reason)))
    const error = await outcome(hangs, 20)
    expect(error).toMatchObject({ code: 'ERR_KEST_ENGINE_TIMEOUT', statusCode: 503 })
    expect(aborted).toBe(error)
  })

  it('tells an engine that looks later, too, that nobody waits', async () => {
    let options: { readonly signal: AbortSignal } | undefined
    const error = await outcome((_, given) => {
      options = given
      return new Promise(() => {})
    }, 20)
    expect(options?.signal.aborted).toBe(true)
    expect(options?.signal.reason).toBe(error)
  })

  it('stops when the caller leaves, and aborts the engine', async () => {
    const caller = new AbortController()
    const seen = vi.fn()
    const pending = outcome(
      (_, { signal }) => {
        signal.addEventListener('abort', seen)
        return new Promise(() => {})
      },
      60_000,
      caller.signal,
    )
    caller.abort()
    expect(await pending).toMatchObject({ code: 'ERR_KEST_ABORTED' })
    expect(await pending).toBeInstanceOf(KestError)
    expect(seen).toHaveBeenCalledOnce()
  })

  it('leaves no listener on the signal of a caller who stays', async () => {
    const caller = new AbortController()
    const removed = vi.spyOn(caller.signal, 'removeEventListener')
    expect(await outcome(async () => true, 1000, caller.signal)).toBe('allowed')
    expect(removed).toHaveBeenCalledOnce()
  })
})
