import { describe, expect, it } from 'vitest'
import { createOriginMap } from '../trust/origins.js'
import { MessageOperations } from './message-operations.js'

describe('operations of messages', () => {
  it('are remembered by the place, and not for every place that a sender makes up', () => {
    let asked = 0
    const operation = () => {
      asked++
      return { policy: 'test' }
    }
    const operations = new MessageOperations(
      { operation, batch: undefined, pattern: undefined },
      createOriginMap(),
    )
    const first = operations.of('nats://main/orders.1')
    expect(operations.of('nats://main/orders.1')).toBe(first)
    expect(asked).toBe(1)
    for (let n = 2; n <= 1_001; n++) operations.of(`nats://main/orders.${n}`)
    expect(operations.of('nats://main/orders.1').operation).toBe('receive nats://main/orders.1')
    expect(asked).toBe(1_002)
  })
})
