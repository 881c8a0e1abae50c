import { refused, undetectable } from '../outcome.js'
import { answerOf } from '../support/mallory.js'
import { everywhere, type Group, type Play } from './attack.js'

/** hop1 is answered a redirect; what it then does, it answers its client. */
const redirecting =
  (follow: boolean): Play =>
  async ({ house, origin }) => {
    const { served } = house
    house.redirect = `${origin}/orders`
    try {
      const { status, body } = await house.request('alice', { follow })
      return answerOf(status, body as object, house.served > served)
    } finally {
      house.redirect = null
    }
  }

export const REDIRECTS: Group = {
  title: 'Redirects',
  attacks: [
    {
      attack: 'answers a call with a redirect to another of ours',
      ...everywhere(refused('ERR_KEST_OUTBOUND')),
      why: 'a redirect is not followed with a passport',
      play: redirecting(false),
    },
    {
      attack: "redirects a caller that has `redirects: 'follow'` to another of ours",
      ...everywhere(undetectable),
      why: "for the receiver it is a call of the caller's, as any other",
      play: redirecting(true),
    },
  ],
}
