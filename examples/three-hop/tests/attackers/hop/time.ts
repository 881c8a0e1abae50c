import { refused, undetectable } from '../outcome.js'
import { entryOn } from '../support/forge.js'
import { everywhere, type Group, type Play } from './attack.js'
import { claiming } from './claiming.js'

const MINUTE = 60_000

/** Dates the entry so many milliseconds from its parent, which is as good as now. */
const dated =
  (ms: number): Play =>
  (mallory) =>
    claiming({ timestamp_ms: Date.now() + ms })(mallory)

export const TIME: Group = {
  title: 'Time',
  attacks: [
    {
      attack: 'dates its entry two minutes before its parent',
      ...everywhere(refused('ERR_KEST_TIME')),
      why: 'clocks may differ by 60 s',
      play: dated(-2 * MINUTE),
    },
    {
      attack: 'dates its entry five seconds before its parent',
      ...everywhere(undetectable),
      why: "a time is its signer's word, within the 60 s that clocks may differ",
      play: dated(-5_000),
    },
    {
      attack: 'dates its entry two minutes ahead',
      ...everywhere(refused('ERR_KEST_FRESHNESS')),
      why: 'at most `maxAheadMs`',
      play: dated(2 * MINUTE),
    },
    {
      attack: 'dates a root two days back, before its certificate',
      ...everywhere(refused('ERR_KEST_CERTIFICATE')),
      why: "a certificate must be valid at its entry's time",
      play: (mallory) =>
        mallory.sends([entryOn(mallory.signer, [], { timestamp_ms: Date.now() - 2 * 1440 * MINUTE }).jws]),
    },
  ],
}
