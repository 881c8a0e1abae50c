import { EventEmitter, once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createKest } from '../config/kest.js'
import { getCurrentPassport } from '../context/accessors.js'
import type { KestEntry } from '../entry/entry.js'
import { parseEntry } from '../entry/parse.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'

const kest = createKest({
  identity: new MockIdentityProvider('spiffe://flow.test/service'),
  engine: new MockPolicyEngine(),
  logger: { debug() {}, info() {}, warn() {}, error() {} },
})

/** A protected function that notes its entry under its name. */
class Graph {
  readonly #hashes = new Map<string, string>()
  readonly #entries = new Map<string, KestEntry>()

  op<Args extends unknown[], Result>(
    name: string,
    fn: (...args: Args) => Result,
    origin?: string,
  ): (...args: Args) => Promise<Awaited<Result>> {
    const options = { operation: name, policy: 'flow', ...(origin === undefined ? {} : { origin }) }
    return kest.verified(options, (...args: Args) => {
      const tip = getCurrentPassport()?.entries.at(-1) as string
      const { hash, entry } = parseEntry(tip, { limits: DEFAULT_LIMITS })
      this.#hashes.set(hash, name)
      this.#entries.set(name, entry)
      return fn(...args)
    })
  }

  leaf(name: string, ms = 0): () => Promise<void> {
    return this.op(name, () => sleep(ms))
  }

  /** Names of the parents, sorted. */
  parents(name: string): string[] {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw new Error(`${name} never ran`)
    return entry.parent_ids
      .map((hash) => (hash === '0' ? '0' : (this.#hashes.get(hash) ?? `unknown ${hash}`)))
      .sort()
  }

  names(): string[] {
    return [...this.#entries.keys()]
  }
}

/** Runs a body inside a root operation, as a request handler would. */
async function within<T>(graph: Graph, body: () => T): Promise<Awaited<T>> {
  return graph.op('root', body, 'system')()
}

describe('K-FLOW lineage follows the data', () => {
  it('K-FLOW a sequence is a chain', async () => {
    const graph = new Graph()
    const [a, b, c] = [graph.leaf('a'), graph.leaf('b'), graph.leaf('c')]
    await within(graph, async () => {
      await a()
      await b()
      await c()
    })
    expect(graph.parents('root')).toEqual(['0'])
    expect(graph.parents('a')).toEqual(['root'])
    expect(graph.parents('b')).toEqual(['a'])
    expect(graph.parents('c')).toEqual(['b'])
  })

  it('K-FLOW Promise.all makes siblings, and what follows has all of them as parents', async () => {
    const graph = new Graph()
    const [a, b, c, later] = [
      graph.leaf('a', 15),
      graph.leaf('b', 5),
      graph.leaf('c', 1),
      graph.leaf('later'),
    ]
    await within(graph, async () => {
      await Promise.all([a(), b(), c()])
      await later()
    })
    for (const name of ['a', 'b', 'c']) expect(graph.parents(name)).toEqual(['root'])
    expect(graph.parents('later')).toEqual(['a', 'b', 'c'])
  })

  it('K-FLOW a nested operation is a child of the one that calls it, and the caller goes on from it', async () => {
    const graph = new Graph()
    const inner = graph.leaf('inner')
    const outer = graph.op('outer', () => inner())
    const later = graph.leaf('later')
    await within(graph, async () => {
      await outer()
      await later()
    })
    expect(graph.parents('outer')).toEqual(['root'])
    expect(graph.parents('inner')).toEqual(['outer'])
    expect(graph.parents('later')).toEqual(['inner'])
  })

  it('K-FLOW fan-outs inside siblings stay apart until they join', async () => {
    const graph = new Graph()
    const leaves = ['a1', 'a2', 'b1', 'b2'].map((name, index) => graph.leaf(name, 5 * (4 - index)))
    const [a1, a2, b1, b2] = leaves as [
      () => Promise<void>,
      () => Promise<void>,
      () => Promise<void>,
      () => Promise<void>,
    ]
    const a = graph.op('a', () => Promise.all([a1(), a2()]))
    const b = graph.op('b', async () => {
      await b1()
      await b2()
    })
    const later = graph.leaf('later')
    await within(graph, async () => {
      await Promise.all([a(), b()])
      await later()
    })
    expect(graph.parents('a1')).toEqual(['a'])
    expect(graph.parents('a2')).toEqual(['a'])
    expect(graph.parents('b1')).toEqual(['b'])
    expect(graph.parents('b2')).toEqual(['b1'])
    expect(graph.parents('later')).toEqual(['a1', 'a2', 'b2'])
  })

  it('K-FLOW what a call answers runs in it, though it begins when somebody waits for it', async () => {
    const query = (read: () => unknown) => ({
      // biome-ignore lint/suspicious/noThenProperty: query builders are such
      then: (resolve: (value: unknown) => void) => resolve(read()),
    })
    const lengthNow = () => getCurrentPassport()?.length
    const inner = kest.verified({ operation: 'query', policy: 'flow' }, () => query(lengthNow))
    const outer = kest.verified({ operation: 'outer', policy: 'flow', origin: 'system' }, async () => [
      lengthNow(),
      await inner(),
    ])
    expect(await outer()).toEqual([1, 2])
  })

  it('K-FLOW a child that throws is a parent of what follows: it may have been seen downstream', async () => {
    const graph = new Graph()
    const fails = graph.op('fails', () => {
      throw new Error('no')
    })
    const later = graph.leaf('later')
    await within(graph, async () => {
      await expect(fails()).rejects.toThrow('no')
      await later()
    })
    expect(graph.parents('later')).toEqual(['fails'])
  })

  it('K-FLOW a denied child leaves no trace in the lineage', async () => {
    const graph = new Graph()
    const later = graph.leaf('later')
    await within(graph, async () => {
      const denied = kest.verified(
        { operation: 'denied', policy: 'flow', engine: new MockPolicyEngine(false) },
        () => {},
      )
      await expect(denied()).rejects.toMatchObject({ code: 'ERR_KEST_DENIED' })
      await later()
    })
    expect(graph.parents('later')).toEqual(['root'])
  })

  it('K-FLOW an abandoned child is nobody’s parent while it runs, and joins those who are still there when it ends', async () => {
    const graph = new Graph()
    const [running, ending] = [new EventEmitter(), new EventEmitter()]
    const slow = graph.op('slow', async () => {
      running.emit('now')
      await once(ending, 'now')
    })
    const [earlier, later] = [graph.leaf('earlier'), graph.leaf('later')]
    await within(graph, async () => {
      const runs = once(running, 'now')
      const abandoned = slow()
      await runs
      await earlier()
      ending.emit('now')
      await abandoned
      await later()
    })
    expect(graph.parents('earlier')).toEqual(['root'])
    expect(graph.parents('later')).toEqual(['earlier', 'slow'])
  })

  it('K-FLOW a child that outlives its caller does not reach into the caller’s caller', async () => {
    const graph = new Graph()
    const slow = graph.leaf('slow', 20)
    let pending: Promise<void> | undefined
    const careless = graph.op('careless', () => {
      pending = slow()
    })
    const later = graph.leaf('later')
    await within(graph, async () => {
      await careless()
      await pending
      await later()
    })
    expect(graph.parents('slow')).toEqual(['careless'])
    expect(graph.parents('later')).toEqual(['careless'])
  })

  it('K-FLOW K-STATE a timer that outlives its request begins nothing, unless it was given a state to keep', async () => {
    const graph = new Graph()
    const [late, kept, body] = [graph.leaf('late'), graph.leaf('kept'), graph.leaf('body')]
    let fired: Promise<unknown> | undefined
    await within(graph, async () => {
      await body()
      const background = kest.keep()
      fired = Promise.all([
        sleep(20)
          .then(late)
          .catch((error) => error.code),
        background.run(() => sleep(20).then(kept)).finally(() => background.end()),
      ])
    })
    expect(await fired).toEqual(['ERR_KEST_STATE_ENDED', undefined])
    expect(graph.names()).not.toContain('late')
    expect(graph.parents('kept')).toEqual(['body'])
  })

  it('K-FLOW a listener of an event emitter belongs to whoever emits', async () => {
    const graph = new Graph()
    const emitter = new EventEmitter()
    const heard: Promise<void>[] = []
    const listen = graph.leaf('listen')
    emitter.on('event', () => heard.push(listen()))
    const emit = graph.op('emit', async () => {
      emitter.emit('event')
      await Promise.all(heard)
    })
    await within(graph, () => emit())
    expect(graph.parents('listen')).toEqual(['emit'])
  })

  it('K-FLOW what a stream’s consumer does belongs to the consumer', async () => {
    const graph = new Graph()
    const produce = graph.op('produce', () => Readable.from(['x', 'y']))
    const consume = graph.op('consume', async (source: Readable) => {
      source.resume()
      await once(source, 'end')
    })
    await within(graph, async () => consume(await produce()))
    expect(graph.parents('produce')).toEqual(['root'])
    expect(graph.parents('consume')).toEqual(['produce'])
  })

  it('K-FLOW an async generator runs where it is consumed', async () => {
    const graph = new Graph()
    const step = [graph.leaf('step0'), graph.leaf('step1')] as const
    async function* generate(): AsyncGenerator<number> {
      for (const [index, run] of step.entries()) {
        await run()
        yield index
      }
    }
    const open = graph.op('open', () => ({ items: generate() }))
    const consume = graph.op('consume', async ({ items }: { items: AsyncGenerator<number> }) => {
      for await (const _ of items);
    })
    await within(graph, async () => consume(await open()))
    expect(graph.parents('step0')).toEqual(['consume'])
    expect(graph.parents('step1')).toEqual(['step0'])
  })

  it('K-FLOW concurrent invocations do not see each other', async () => {
    const graph = new Graph()
    await Promise.all(
      Array.from({ length: 100 }, (_, index) => {
        const child = graph.leaf(`child${index}`, (index * 7) % 13)
        return graph.op(
          `root${index}`,
          async () => {
            await sleep((index * 5) % 11)
            await child()
            expect(getCurrentPassport()?.length).toBe(2)
          },
          'system',
        )()
      }),
    )
    for (let index = 0; index < 100; index++) expect(graph.parents(`child${index}`)).toEqual([`root${index}`])
  })

  it('K-FLOW exactly one entry for each invocation', async () => {
    const graph = new Graph()
    const a = graph.leaf('a')
    await within(graph, async () => {
      await a()
      await a()
      expect(getCurrentPassport()?.length).toBe(3)
    })
  })
})
