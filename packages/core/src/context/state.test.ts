import { AsyncResource } from 'node:async_hooks'
import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { afterEach, describe, expect, it } from 'vitest'
import { stateWith } from '../../tests/support/states.js'
import { getCurrentPassport, getCurrentUser } from './accessors.js'
import { currentState, type KestState, runWithState } from './state.js'

function stateOf(user: string): KestState {
  return stateWith({ identity: { context: { user, agent: null, task: null }, by: null } })
}

afterEach(() => {
  context.disable()
})

describe('K-AMBIENT the Kest state', () => {
  it('K-AMBIENT travels with asynchronous execution where no OpenTelemetry SDK runs', async () => {
    const seen = await runWithState(stateOf('alice'), async () => {
      await new Promise((resolve) => setImmediate(resolve))
      return getCurrentUser()
    })
    expect(seen).toBe('alice')
    expect(currentState()).toBeNull()
    expect(getCurrentPassport()).toBeNull()
  })

  it('K-AMBIENT is what the innermost run says, also within another OpenTelemetry context', () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    runWithState(stateOf('outer'), () => {
      const stored = context.active()
      runWithState(stateOf('inner'), () => {
        expect(context.with(stored, getCurrentUser)).toBe('inner')
      })
    })
  })

  it('K-AMBIENT is found in an OpenTelemetry context that was kept, where the process’ own was lost', () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    const elsewhere = new AsyncResource('elsewhere')
    const kept = runWithState(stateOf('alice'), () => context.active())
    expect(elsewhere.runInAsyncScope(() => context.with(kept, getCurrentUser))).toBe('alice')
  })

  it('K-AMBIENT neither reads nor writes OpenTelemetry baggage', () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    const lying = propagation.setBaggage(
      context.active(),
      propagation.createBaggage({ 'kest.user': { value: 'mallory' } }),
    )
    context.with(lying, () => {
      expect(getCurrentUser()).toBeNull()
      runWithState(stateOf('alice'), () => {
        expect(getCurrentUser()).toBe('alice')
        expect(propagation.getActiveBaggage()?.getEntry('kest.user')?.value).toBe('mallory')
      })
    })
    runWithState(stateOf('alice'), () => {
      expect(propagation.getActiveBaggage()).toBeUndefined()
      expect(trace.getActiveSpan()).toBeUndefined()
    })
  })

  it('SPEC §11.7 concurrent tasks never share state', async () => {
    const users = Array.from({ length: 200 }, (_, index) => `user${index}`)
    const seen = await Promise.all(
      users.map((user, index) =>
        runWithState(stateOf(user), async () => {
          await new Promise((resolve) => setTimeout(resolve, (index * 13) % 17))
          return getCurrentUser()
        }),
      ),
    )
    expect(seen).toEqual(users)
  })
})
