import { LABEL } from '@kest/core'
import { undetectable, visible } from '../outcome.js'
import { type Claim, entryOn, payloadOf } from '../support/forge.js'
import { entryIn, type Records, type Span } from '../support/records.js'
import type { World } from '../support/world.js'
import { type FileGroup, VICTIM } from './attack.js'
import { rewrite } from './edited.js'
import { spanWith } from './forged.js'

const numberIn = (span: Span): string => payloadOf(entryIn(span)).labels[LABEL.seq] as string

/** An entry by a workload that helps, on top of hop2's of a request. */
function signedBy(world: World, who: 'hop2' | 'hop3', records: Records, request: number, claim: Claim): Span {
  const parent = entryIn(records.hop2[request] as Span)
  return spanWith(entryOn(world.identities[who].current(), [parent], claim).jws)
}

export const NUMBERS: FileGroup = {
  title: 'Numbers and times forged',
  attacks: [
    {
      attack: 'writes another number into an entry, to close a gap',
      outcome: visible('broken'),
      why: 'the number is signed',
      tamper({ records: { hop3 } }) {
        hop3.splice(VICTIM, 1)
        rewrite(hop3[VICTIM] as Span, /("kest\.seq":"[^:]*:)3"/, '$12"')
      },
    },
    {
      attack: 'closes a gap by an entry that another workload signs under that number',
      outcome: visible('sequence-gap', 'sequence-shared'),
      why: "a number of another principal's closes no gap",
      tamper({ records, world }) {
        const [dropped] = records.hop3.splice(VICTIM, 1) as [Span]
        const labels = { [LABEL.seq]: numberIn(dropped) }
        records.hop2.push(signedBy(world, 'hop2', records, VICTIM, { labels }))
      },
    },
    {
      attack: 'adds an entry that the workload itself signs under a number it gave before',
      outcome: visible('sequence-repeated'),
      why: 'a number is given once',
      tamper({ records, world }) {
        const labels = { [LABEL.seq]: numberIn(records.hop3[VICTIM] as Span) }
        records.hop3.push(signedBy(world, 'hop3', records, VICTIM, { labels }))
      },
    },
    {
      attack: 'drops an entry on which nothing builds, and the workload itself signs the later ones anew',
      outcome: undetectable,
      why: 'what a workload with a valid identity does not record, nobody can show',
      tamper({ records, world }) {
        const [dropped] = records.hop3.splice(VICTIM, 2) as [Span]
        const labels = { [LABEL.seq]: numberIn(dropped) }
        records.hop3.push(signedBy(world, 'hop3', records, VICTIM + 1, { labels }))
      },
    },
    {
      attack: 'has the workload itself date an entry anew, five seconds before its parent',
      outcome: undetectable,
      why: "a time is its signer's word, within the 60 s that clocks may differ and the life of its certificate",
      tamper({ records, world }) {
        const [was] = records.hop3.splice(VICTIM, 1) as [Span]
        const timestamp_ms = payloadOf(entryIn(records.hop2[VICTIM] as Span)).timestamp_ms - 5_000
        const labels = { [LABEL.seq]: numberIn(was) }
        records.hop3.push(signedBy(world, 'hop3', records, VICTIM, { labels, timestamp_ms }))
      },
    },
    {
      attack: 'has the workload itself date an entry half an hour ahead',
      outcome: visible('time'),
      why: 'no entry is later than the audit',
      tamper({ records, world }) {
        const timestamp_ms = Date.now() + 1_800_000
        records.hop3.push(signedBy(world, 'hop3', records, VICTIM, { timestamp_ms }))
      },
    },
    {
      attack: 'has the workload itself date an entry tomorrow',
      outcome: visible('broken'),
      why: 'its certificate is not valid then',
      tamper({ records, world }) {
        const timestamp_ms = Date.now() + 86_400_000
        records.hop3.push(signedBy(world, 'hop3', records, VICTIM, { timestamp_ms }))
      },
    },
  ],
}
