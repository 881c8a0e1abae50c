import { ATTRIBUTE, LABEL, SPAN_PREFIX } from '@kest/core'
import { undetectable, visible } from '../outcome.js'
import { ADMIN, entryOn, payloadOf, twinOf } from '../support/forge.js'
import { attributeOf, change, entryIn, type Records, type Span } from '../support/records.js'
import { type FileGroup, VICTIM } from './attack.js'

/** A span that has this entry, and says nothing else. */
export function spanWith(jws: string): Span {
  const { operation, labels } = payloadOf(jws)
  return {
    name: SPAN_PREFIX + operation,
    traceId: labels[LABEL.traceId] as string,
    startTimeUnixNano: '1',
    endTimeUnixNano: '1',
    attributes: [{ key: ATTRIBUTE.signature, value: { stringValue: jws } }],
  }
}

const parentIn = ({ hop2 }: Records): string => entryIn(hop2[VICTIM] as Span)

function swap(one: Span, other: Span, key: string): void {
  const [first, second] = [attributeOf(one, key), attributeOf(other, key)]
  change(one, key, second)
  change(other, key, first)
}

export const FORGED: FileGroup = {
  title: 'Entries forged',
  attacks: [
    {
      attack: "adds an entry in a workload's name, under an authority of its own making",
      outcome: visible('broken'),
      why: 'keys come from the auditor, never from the file',
      tamper({ records, world }) {
        const { jws } = entryOn(world.untrusted.hop1.current(), [parentIn(records)], { labels: ADMIN })
        records.hop3.push(spanWith(jws))
      },
    },
    {
      attack: 'adds an entry of a workload that nobody knows',
      outcome: visible('principal-unknown'),
      why: 'no key is a failure, never a skip',
      tamper({ records, world }) {
        const { jws } = entryOn(world.untrusted.stranger.current(), [parentIn(records)])
        records.hop3.push(spanWith(jws))
      },
    },
    {
      attack: 'adds an authorization without an entry',
      outcome: visible('unsigned'),
      why: 'it proves nothing',
      tamper({ records }) {
        const span = structuredClone(records.hop3[VICTIM] as Span)
        for (const name of [ATTRIBUTE.signature, ATTRIBUTE.chainTip, ATTRIBUTE.passport]) {
          change(span, name, undefined)
        }
        records.hop3.push(span)
      },
    },
    {
      attack: 'adds an unsigned denial',
      outcome: undetectable,
      why: 'anybody can write one: it is listed as what a span says, and no evidence',
      tamper({ records }) {
        const span = structuredClone(records.hop3[VICTIM] as Span)
        for (const name of [ATTRIBUTE.signature, ATTRIBUTE.chainTip, ATTRIBUTE.passport]) {
          change(span, name, undefined)
        }
        change(span, ATTRIBUTE.decision, 'deny')
        records.hop3.push(span)
      },
    },
    {
      attack: 'adds a denial, and an entry in place of its signed form',
      outcome: visible('denial-broken'),
      why: 'an entry is no denial',
      tamper({ records }) {
        const span = structuredClone(records.hop3[VICTIM] as Span)
        const entry = entryIn(span)
        for (const name of [ATTRIBUTE.signature, ATTRIBUTE.chainTip, ATTRIBUTE.passport]) {
          change(span, name, undefined)
        }
        change(span, ATTRIBUTE.decision, 'deny')
        span.attributes.push({ key: ATTRIBUTE.denial, value: { stringValue: entry } })
        records.hop3.push(span)
      },
    },
    {
      attack: 'adds a genuine span once more',
      outcome: visible('duplicated'),
      why: 'it is one entry',
      tamper({ records }) {
        records.hop3.push(structuredClone(records.hop3[VICTIM] as Span))
      },
    },
    {
      attack: 'adds the twin of an entry, with n−s',
      outcome: visible('broken'),
      why: 'entries of Kest for TypeScript have a low s',
      tamper({ records }) {
        records.hop3.push(spanWith(twinOf(entryIn(records.hop3[VICTIM] as Span)).jws))
      },
    },
  ],
}

export const MIXED: FileGroup = {
  title: 'Traces mixed',
  attacks: [
    {
      attack: 'swaps the entries of two requests',
      outcome: visible('attribute-differs', 'passport-differs'),
      why: 'the trace is signed, and the rest of the span says otherwise',
      tamper({ records: { hop3 } }) {
        swap(hop3[0] as Span, hop3[VICTIM] as Span, ATTRIBUTE.signature)
      },
    },
    {
      attack: 'swaps the passports of two requests',
      outcome: visible('passport-differs'),
      why: 'the lineage follows from the entries',
      tamper({ records: { hop3 } }) {
        swap(hop3[0] as Span, hop3[VICTIM] as Span, ATTRIBUTE.passport)
      },
    },
    {
      attack: 'moves a span to another trace',
      outcome: visible('attribute-differs'),
      why: 'the trace is signed',
      tamper({ records: { hop3 } }) {
        const [one, victim] = [hop3[0] as Span, hop3[VICTIM] as Span]
        victim.traceId = one.traceId
        change(victim, ATTRIBUTE.traceId, attributeOf(one, ATTRIBUTE.traceId))
      },
    },
  ],
}
