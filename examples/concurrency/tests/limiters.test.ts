import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { limiters } from '../src/limiters.js'
import { FORMS, Services } from '../src/trial.js'

const REQUESTS = 30
/** They run a task where it was handed over. */
const KEEP_STATES = ['p-limit 7', 'generic-pool']

let services: Services
beforeAll(async () => {
  services = await new Services().start()
})
afterAll(() => services.close())

describe.each(Object.entries(limiters))('K-STATE %s, saturated by requests of thirty users', (name, open) => {
  it.each(FORMS.filter((form) => form !== 'plain'))(
    'K-STATE with %s each calls as its own user',
    async (form) => {
      expect(await services.run(open(2), form, REQUESTS)).toEqual({
        own: REQUESTS,
        foreign: 0,
        ended: 0,
        lost: 0,
      })
    },
  )

  it('K-STATE without help does what the manual says', async () => {
    const { own, foreign, ended, lost } = await services.run(open(2), 'plain', REQUESTS)
    expect(own + foreign + ended).toBe(REQUESTS)
    expect(lost).toBe(0)
    if (KEEP_STATES.includes(name)) expect(own).toBe(REQUESTS)
    // Whoever stops doing so is to be moved to the others in the manual.
    else expect(foreign).toBeGreaterThan(0)
  })
})
