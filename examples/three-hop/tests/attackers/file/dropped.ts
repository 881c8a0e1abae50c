import { ATTRIBUTE } from '@kest/core'
import { undetectable, visible } from '../outcome.js'
import { CHAIN, change } from '../support/records.js'
import { type FileGroup, VICTIM } from './attack.js'

export const DROPPED: FileGroup = {
  title: 'Spans dropped',
  attacks: [
    {
      attack: 'drops a span that another builds on',
      outcome: visible('incomplete', 'sequence-gap'),
      why: 'its child names it; passports in other spans may still prove it',
      tamper({ records }) {
        records.hop2.splice(VICTIM, 1)
      },
    },
    {
      attack: 'drops a span that another builds on, and every passport that has it',
      outcome: visible('incomplete', 'sequence-gap'),
      why: 'its child names it by hash',
      tamper({ records }) {
        records.hop2.splice(VICTIM, 1)
        for (const span of records.hop3) change(span, ATTRIBUTE.passport, undefined)
      },
    },
    {
      attack: 'drops a span that nothing builds on',
      outcome: visible('sequence-gap'),
      why: 'the numbers of its process have a gap',
      tamper({ records }) {
        records.hop3.splice(VICTIM, 1)
      },
    },
    {
      attack: 'drops all spans of a request',
      outcome: visible('sequence-gap'),
      why: 'the same, in every process',
      tamper({ records }) {
        for (const hop of CHAIN) records[hop].splice(VICTIM, 1)
      },
    },
    {
      attack: 'drops the first spans of every process',
      outcome: visible('sequence-start'),
      why: 'numbers begin at 1; so do exports that begin later, so that it is a note',
      tamper({ records }) {
        for (const hop of CHAIN) records[hop].shift()
      },
    },
    {
      attack: 'drops the last span of a process, on which nothing builds',
      outcome: undetectable,
      why: 'nothing came after it',
      tamper({ records }) {
        records.hop3.pop()
      },
    },
    {
      attack: 'drops all that was recorded from some time on',
      outcome: undetectable,
      why: 'the same',
      tamper({ records }) {
        for (const hop of CHAIN) records[hop].pop()
      },
    },
    {
      attack: 'drops all spans of a process on which nothing builds',
      outcome: undetectable,
      why: 'nothing names it',
      tamper({ records }) {
        records.hop3.length = 0
      },
    },
    {
      attack: 'drops all spans of a process, and every passport that has them',
      outcome: visible('incomplete'),
      why: 'what the next one recorded names them',
      tamper({ records }) {
        records.hop2.length = 0
        for (const span of records.hop3) change(span, ATTRIBUTE.passport, undefined)
      },
    },
    {
      attack: 'tears the last line',
      outcome: visible('torn'),
      why: 'as a process does that is killed, so that it is a note',
      tamper(target) {
        target.lines = (lines) => [...lines.slice(0, -1), (lines.at(-1) as string).slice(0, 99)]
      },
    },
    {
      attack: 'overwrites a line',
      outcome: visible('unreadable', 'sequence-gap'),
      why: 'what cannot be read is said',
      tamper(target) {
        target.lines = (lines) => lines.with(-2, '{"resourceSpans":')
      },
    },
  ],
}
