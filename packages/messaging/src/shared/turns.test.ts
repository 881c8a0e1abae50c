import { describe, expect, it } from 'vitest'
import { Turns } from './turns.js'

describe('turns', () => {
  it('come in the order in which they were taken, in whatever order the work before is done', async () => {
    const turns = new Turns()
    const went: number[] = []
    const goes = Array.from({ length: 5 }, (_, n) => ({ n, turn: turns.take() })).map(({ n, turn }) => ({
      n,
      async go() {
        await turn.came
        went.push(n)
        turn.pass()
      },
    }))
    await Promise.all(goes.reverse().map(({ go }) => go()))
    expect(went).toEqual([0, 1, 2, 3, 4])
  })

  it('one that passes before it has come lets nobody overtake those before it', async () => {
    const turns = new Turns()
    const [first, second, third] = [turns.take(), turns.take(), turns.take()]
    let came = false
    void third.came.then(() => {
      came = true
    })
    second.pass()
    second.pass()
    await new Promise((resolve) => setImmediate(resolve))
    expect(came).toBe(false)
    first.pass()
    await third.came
    expect(came).toBe(true)
  })
})
