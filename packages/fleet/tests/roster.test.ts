import type { RosterWorkload } from '@kest/audit'
import { describe, expect, it } from 'vitest'
import { makeEntry } from '../../audit/dist/testing/make-entry.js'
import { spanOf } from '../../audit/dist/testing/make-span.js'
import type { RosterWorker } from '../src/roster/roster-worker.js'
import { PARTITIONS, TOPICS, WAIT_MS, World } from './support/world.js'

const HOUR = 3_600_000

class Watched {
  readonly world = new World()
  readonly roster: readonly RosterWorkload[]
  #workers: RosterWorker[] = []

  constructor(names: readonly ('gateway' | 'orders')[]) {
    const { workloads } = this.world
    this.roster = names.map((name) => ({ workload: workloads[name].signer.workloadId, withinMs: HOUR }))
    this.world.log.now = Date.UTC(2026, 0, 31, 12)
  }

  async begin(): Promise<void> {
    const all = Array.from({ length: PARTITIONS }, (_, n) => this.world.roster(n, this.roster))
    this.#workers = await Promise.all(all)
  }

  async pass(ms: number): Promise<void> {
    await this.world.pass(ms)
    for (const [partition, worker] of this.#workers.entries())
      for (const step of [0, 1]) {
        const { end } = await this.world.log.bounds(TOPICS.facts, partition)
        const slice = await this.world.log.read(TOPICS.facts, partition, step === 0 ? worker.position : end)
        await worker.take(slice)
      }
  }

  async send(name: 'gateway' | 'orders' | 'stranger', at = this.world.log.now): Promise<void> {
    const claim =
      name === 'stranger' ? { labels: { principal: this.world.workloads.orders.signer.workloadId } } : {}
    const made = makeEntry(this.world.workloads[name].signer, [], { timestamp_ms: at, ...claim })
    await this.world.send([spanOf(made)])
    await this.pass(0)
    await this.pass(1_000)
  }

  get said(): string[] {
    return this.world.general.map(
      ({ key, code, withdrawn }) => `${withdrawn ? 'withdrawn ' : ''}${code} ${key}`,
    )
  }
}

describe('the roster of a fleet', () => {
  it('K-ROSTER says who shows nothing in time, once, and withdraws it when he does', async () => {
    const watched = new Watched(['gateway', 'orders'])
    await watched.begin()
    await watched.send('gateway')
    await watched.send('orders')
    await watched.pass(HOUR / 2)
    await watched.send('gateway')
    expect(watched.said).toEqual([])
    await watched.pass(HOUR / 2 + WAIT_MS)
    await watched.pass(1_000)
    const orders = `workload:${watched.roster[1]?.workload}`
    expect(watched.said).toEqual([`silent ${orders}`])
    // Another takes over, and says it no more.
    await watched.begin()
    await watched.pass(1_000)
    expect(watched.said).toHaveLength(1)
    await watched.send('orders')
    await watched.pass(1_000)
    expect(watched.said).toEqual([`silent ${orders}`, `withdrawn silent ${orders}`])
  })

  it('K-ROSTER is not quieted by what was not verified, nor by what is dated in the future, however often that comes', async () => {
    const watched = new Watched(['orders'])
    await watched.begin()
    await watched.send('orders', watched.world.log.now + 1_000 * HOUR)
    await watched.pass(HOUR / 2)
    await watched.send('stranger')
    await watched.pass(HOUR / 2 + WAIT_MS)
    await watched.pass(1_000)
    expect(watched.said).toHaveLength(1)
    await watched.send('orders', watched.world.log.now + 1_000 * HOUR)
    await watched.pass(1_000)
    expect(watched.said).toHaveLength(1)
    await watched.send('orders', watched.world.log.now + 30_000)
    await watched.pass(1_000)
    expect(watched.said).toHaveLength(2)
  })

  it('K-ROSTER says nobody silent before he was looked for as long', async () => {
    const watched = new Watched(['orders'])
    await watched.begin()
    await watched.pass(HOUR)
    expect(watched.said).toEqual([])
    await watched.pass(WAIT_MS + 1_000)
    expect(watched.said).toHaveLength(1)
    expect(watched.world.general[0]?.message).toContain('there is none of before, either')
  })
})
