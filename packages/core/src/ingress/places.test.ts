import { describe, expect, it } from 'vitest'
import { MessageWorld, refusal } from '../testing/message-world.js'
import type { ListenerOptions } from './listener-options.js'

async function brought(world: MessageWorld, user = 'alice', hop = false): Promise<{ baggage: string }> {
  const state = await world.request({ user })
  return brings(world, state, hop)
}

async function brings(
  world: MessageWorld,
  state: Awaited<ReturnType<MessageWorld['request']>>,
  hop = false,
): Promise<{ baggage: string }> {
  const headers = await world.gateway.inject({} as Record<string, string>, 'https://orders.test', {
    state,
    hop,
  })
  return { baggage: headers['baggage'] as string }
}

function receive(
  world: MessageWorld,
  headers: Record<string, string>,
  also: readonly Record<string, string>[],
  options: ListenerOptions = {},
) {
  return world.orders.listener(options).receive({ headers, also })
}

describe('lineage in several places of one request', () => {
  it('K-CARRIER is read where it is, and taken out of all of them', async () => {
    const world = new MessageWorld()
    const headers = {}
    const meta: Record<string, string> = { ...(await brought(world)), progressToken: '7' }
    const state = await receive(world, headers, [meta, {}])
    expect(state.identity?.context.user).toBe('alice')
    expect(meta).toEqual({ progressToken: '7' })
  })

  it('K-CARRIER may be the same in two, and is refused when it ends otherwise', async () => {
    const world = new MessageWorld()
    const state = await world.request()
    const one = await receive(world, await brings(world, state), [await brings(world, state)])
    expect(one.frame.lineage.length).toBe(1)
    expect(await refusal(receive(world, await brought(world), [await brought(world)]))).toBe('ERR_KEST_TIP')
  })

  it('K-CARRIER refuses unsigned names that differ', async () => {
    const world = new MessageWorld()
    const state = await world.request()
    const first = await brings(world, state)
    const second = {
      baggage: (await brings(world, state)).baggage.replace('kest.user=alice', 'kest.user=bob'),
    }
    expect(await refusal(receive(world, first, [second]))).toBe('ERR_KEST_IDENTITY_CONFLICT')
    const third = { baggage: (await brings(world, state)).baggage.replace(',kest.user=alice', '') }
    await expect(receive(world, await brings(world, state), [third])).resolves.toBeDefined()
  })

  it('K-CARRIER judges the token of each place', async () => {
    const world = new MessageWorld()
    const state = await world.request()
    const options = { binding: 'hop', audiences: ['https://orders.test'] } as const
    const [bound, other, bare] = [
      await brings(world, state, true),
      await brings(world, state, true),
      await brings(world, state),
    ]
    await expect(receive(world, { ...bound }, [{ ...other }], options)).resolves.toBeDefined()
    expect(await refusal(receive(world, await brings(world, state, true), [bare], options))).toBe(
      'ERR_KEST_BINDING',
    )
  })

  it('K-CARRIER refuses what is malformed in any of them', async () => {
    const world = new MessageWorld()
    const second = { baggage: 'kest.passport=x;y=1' }
    expect(await refusal(receive(world, await brought(world), [second]))).toBe('ERR_KEST_BAGGAGE')
    expect(second).toEqual({})
  })

  it('K-EDGE is removed from all of them, unread', async () => {
    const world = new MessageWorld()
    const places = [await brought(world), { baggage: 'kest.passport=x;y=1,theirs=1' }] as const
    const state = await receive(world, places[0], [places[1]], { origin: 'internet' })
    expect(state).toMatchObject({ origin: 'internet', identity: null })
    expect(places).toEqual([{}, { baggage: 'theirs=1' }])
  })

  it('K-OPTIONAL lets a request in that brings none in any', async () => {
    const world = new MessageWorld()
    const state = await receive(world, {}, [{}], { lineage: 'optional' })
    expect(state.origin).toBe('kest.unproven')
    expect(await refusal(receive(world, {}, [{ baggage: 'kest.user=bob' }], { lineage: 'optional' }))).toBe(
      'ERR_KEST_LINEAGE_MISSING',
    )
  })

  it('K-EDGE takes the lineage of a partner from any of them', async () => {
    const world = new MessageWorld()
    const options = {
      origin: 'internet',
      acceptLineage: true,
      binding: 'hop',
      audiences: ['https://orders.test'],
    } as const
    const state = await receive(world, {}, [await brought(world, 'alice', true)], options)
    expect(state.identity?.context.user).toBe('alice')
  })
})
