import { expect, it } from 'vitest'
import { Alarm } from './alarm.js'

const sleepsOn = Symbol('sleeps on')

/** What has become of a sleep when all that happens at once has happened. */
async function soon(sleep: Promise<boolean>): Promise<unknown> {
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  return Promise.race([sleep, Promise.resolve(sleepsOn)])
}

it('cuts a sleep short, and also the next one when nobody slept as it rang', async () => {
  const alarm = new Alarm()
  const first = alarm.sleep(600_000)
  expect(await soon(first)).toBe(sleepsOn)
  alarm.ring()
  expect(await soon(first)).toBe(true)
  alarm.ring()
  alarm.ring()
  expect(await soon(alarm.sleep(600_000))).toBe(true)
  const last = alarm.sleep(600_000)
  expect(await soon(last)).toBe(sleepsOn)
  alarm.ring()
})

it('remembers a ring also when the sleep before ended by itself', async () => {
  const alarm = new Alarm()
  expect(await alarm.sleep(1)).toBe(false)
  alarm.ring()
  expect(await soon(alarm.sleep(600_000))).toBe(true)
})
