import { afterEach, describe, expect, it, vi } from 'vitest'
import { configure, verified } from '../config/active.js'
import { createKest } from '../config/kest.js'
import { getCurrentPassport } from '../context/accessors.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'

const parts = { identity: new MockIdentityProvider('verified'), logger: new RecordingLogger() }
const options = { operation: 'op', policy: 'p', origin: 'system' } as const

afterEach(() => {
  vi.unstubAllEnvs()
})

describe('verified', () => {
  it('F-PE-01 answers what the function answers, as a promise, with this and the arguments kept', async () => {
    const kest = createKest({ ...parts, engine: new MockPolicyEngine() })
    const counter = {
      count: 1,
      add: kest.verified(options, function (this: { count: number }, n: number) {
        this.count += n
        return this.count
      }),
    }
    expect(await counter.add(2)).toBe(3)
    expect(counter.count).toBe(3)
  })

  it('keeps the name, and asks for the default instance when it is called', async () => {
    const greet = verified(options, async function hello(name: string) {
      return `hello ${name}`
    })
    expect(greet.name).toBe('hello')
    configure({ ...parts, engine: new MockPolicyEngine() })
    expect(await greet('you')).toBe('hello you')
    configure({ ...parts, engine: new MockPolicyEngine(false) })
    await expect(greet('you')).rejects.toMatchObject({ code: 'ERR_KEST_DENIED' })
  })

  it('decorates methods of a class', async () => {
    const kest = createKest({ ...parts, engine: new MockPolicyEngine() })
    class Payments {
      readonly #total = 40

      @kest.verified(options)
      async charge(n: number): Promise<number> {
        expect(getCurrentPassport()?.length).toBe(1)
        return this.#total + n
      }
    }
    expect(await new Payments().charge(2)).toBe(42)
  })

  it('passes on what the function throws', async () => {
    const kest = createKest({ ...parts, engine: new MockPolicyEngine() })
    const error = new RangeError('mine')
    await expect(
      kest.verified(options, () => {
        throw error
      })(),
    ).rejects.toBe(error)
  })

  it('runs nothing when a resolver throws', async () => {
    const kest = createKest({ ...parts, engine: new MockPolicyEngine() })
    const run = vi.fn()
    const user = () => {
      throw new Error('who?')
    }
    await expect(kest.verified({ ...options, user }, run)()).rejects.toThrow('who?')
    await expect(kest.verified({ ...options, user: () => 5 as never }, run)()).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
    })
    expect(run).not.toHaveBeenCalled()
  })

  it('leaves no rejection unobserved when several resolvers fail', async () => {
    const kest = createKest({ ...parts, engine: new MockPolicyEngine() })
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const user = async (): Promise<string> => {
      throw new Error('first')
    }
    const task = () => {
      throw new Error('second')
    }
    await expect(kest.verified({ ...options, user, task }, () => {})()).rejects.toThrow('first')
    await new Promise((resolve) => setTimeout(resolve, 10))
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })

  it('refuses generators and what is no function, when it wraps them', () => {
    const kest = createKest({ ...parts, engine: new MockPolicyEngine() })
    expect(() => kest.verified(options, function* () {})).toThrow(/generator/)
    expect(() => kest.verified(options, async function* () {})).toThrow(/generator/)
    expect(() => kest.verified(options, 5 as never)).toThrow(TypeError)
    expect(() => kest.verified(options)(() => {}, { kind: 'field' } as never)).toThrow(
      /cannot protect a field/,
    )
    expect(() => kest.verified(options)(class {} as never)).toThrow(/cannot protect a class/)
  })

  it('SPEC §11.6 refuses an empty policy list when it wraps', () => {
    expect(() => verified({ operation: 'op', policy: [] as never }, () => {})).toThrow(/empty/)
  })
})
