import { ATTRIBUTE } from '@kest/core'
import { undetectable, visible } from '../outcome.js'
import { attributeOf, CHAIN, change, entryIn, linesOf, type Records, type Span } from '../support/records.js'
import { type FileGroup, VICTIM } from './attack.js'

/** Takes from the span what shows that there is an entry. */
function withoutEntry(span: Span): void {
  for (const name of [ATTRIBUTE.signature, ATTRIBUTE.chainTip, ATTRIBUTE.passport])
    change(span, name, undefined)
}

/** Writes something else into what is signed. */
export function rewrite(span: Span, from: string | RegExp, to: string): void {
  const [header, payload, signature] = entryIn(span).split('.') as [string, string, string]
  const was = Buffer.from(payload, 'base64url').toString()
  const is = was.replace(from, to)
  if (is === was) throw new Error('nothing was changed')
  change(span, ATTRIBUTE.signature, `${header}.${Buffer.from(is).toString('base64url')}.${signature}`)
}

const victimOf = ({ hop3 }: Records): Span => hop3[VICTIM] as Span

export const EDITED: FileGroup = {
  title: 'Spans edited',
  attacks: [
    {
      attack: 'writes more trust into an attribute',
      outcome: visible('attribute-differs'),
      why: 'the signed entry is right',
      tamper: ({ records }) => change(victimOf(records), ATTRIBUTE.trustScore, '100'),
    },
    {
      attack: 'writes another workload into an attribute',
      outcome: visible('attribute-differs'),
      why: 'the signed entry is right',
      tamper: ({ records }) => change(victimOf(records), ATTRIBUTE.workloadId, 'spiffe://example.org/admin'),
    },
    {
      attack: 'writes `deny` over the decision',
      outcome: visible('attribute-differs'),
      why: 'there is no entry of what was denied',
      tamper: ({ records }) => change(victimOf(records), ATTRIBUTE.decision, 'deny'),
    },
    {
      attack: 'takes an entry out of `kest.passport`',
      outcome: visible('passport-differs'),
      why: 'the lineage follows from the entries',
      tamper({ records }) {
        const span = victimOf(records)
        const passport = JSON.parse(attributeOf(span, ATTRIBUTE.passport)) as string[]
        change(span, ATTRIBUTE.passport, JSON.stringify(passport.toSpliced(1, 1)))
      },
    },
    {
      attack: 'writes something else into a signed entry',
      outcome: visible('broken', 'sequence-gap'),
      why: 'the signature does not hold, and what was signed is missing',
      tamper: ({ records }) => rewrite(victimOf(records), '"operation":"step 2"', '"operation":"step 9"'),
    },
    {
      attack: 'writes something else into a signed entry that others build on',
      outcome: visible('broken', 'incomplete', 'sequence-gap'),
      why: 'the same, and its child names it',
      tamper: ({ records }) =>
        rewrite(records.hop2[VICTIM] as Span, '"operation":"step 1"', '"operation":"step 9"'),
    },
    {
      attack: 'writes nonsense in place of a signature',
      outcome: visible('malformed', 'sequence-gap'),
      why: 'it is no entry',
      tamper: ({ records }) => change(victimOf(records), ATTRIBUTE.signature, 'nonsense'),
    },
    {
      attack: 'takes the signature away',
      outcome: visible('cut', 'sequence-gap'),
      why: 'the span names the tip that never came',
      tamper: ({ records }) => change(victimOf(records), ATTRIBUTE.signature, undefined),
    },
    {
      attack: 'takes away all that names the entry',
      outcome: visible('unsigned', 'sequence-gap'),
      why: 'an authorization without a signature proves nothing',
      tamper: ({ records }) => withoutEntry(victimOf(records)),
    },
    {
      attack: 'makes a denial of an authorization',
      outcome: visible('sequence-gap'),
      why: 'an unsigned denial is no evidence, and the number is missing',
      tamper({ records }) {
        withoutEntry(victimOf(records))
        change(victimOf(records), ATTRIBUTE.decision, 'deny')
      },
    },
    {
      attack: 'gives a span another name',
      outcome: visible('attribute-differs'),
      why: 'the operation is signed',
      tamper({ records }) {
        victimOf(records).name = 'kest.verified.another'
      },
    },
    {
      attack: 'gives spans other times, and services other names',
      outcome: undetectable,
      why: 'nothing of that is believed: facts are what is signed',
      tamper(target) {
        const { records } = target
        for (const span of CHAIN.flatMap((hop) => records[hop])) {
          span.startTimeUnixNano = '1'
          span.endTimeUnixNano = '1'
        }
        target.lines = () => linesOf(records, { hop3: 'somebody' })
      },
    },
  ],
}
