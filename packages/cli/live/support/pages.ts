import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ATTRIBUTE } from '@kest/core'
import type { MadeEntry } from '../../../audit/dist/testing/make-entry.js'
import { denialOf, otlpLine, spanOf } from '../../../audit/dist/testing/make-span.js'
import { kest } from '../../tests/support/kest.js'
import { entryBy, exported, KEYS } from '../../tests/support/spans.js'

/** Where a page is that `kest graph` made of spans, and the folder that it is in. */
export interface MadePage {
  readonly url: string
  readonly folder: string
}

/** @param spans as an exporter writes them */
export async function makePage(spans: string): Promise<MadePage> {
  return await made(spans, ['graph', 'spans.jsonl', '-f', 'html', '-o', 'page.html'])
}

/** The same of what `kest audit --html` makes. */
export async function makeReport(spans: string, keys: object = KEYS): Promise<MadePage> {
  return await made(spans, ['audit', 'spans.jsonl', '--fail-on', 'none', '--html', 'page.html'], keys)
}

async function made(spans: string, args: readonly string[], keys: object = KEYS): Promise<MadePage> {
  const folder = await mkdtemp(join(tmpdir(), 'kest-page-'))
  await writeFile(join(folder, 'keys.json'), JSON.stringify(keys))
  await writeFile(join(folder, 'spans.jsonl'), spans)
  const run = await kest([...args, '--trust', 'keys.json'], { cwd: folder })
  if (run.code !== 0 || run.stderr !== '') throw new Error(`kest ${args[0]}: ${run.code} ${run.stderr}`)
  return { url: pathToFileURL(join(folder, 'page.html')).href, folder }
}

/** What a span says of an operation that was denied. */
export function denied(made: MadeEntry, reason: string): string {
  const span = denialOf(made)
  Object.assign(span.attributes, { [ATTRIBUTE.errorType]: 'ERR_KEST_DENIED', [ATTRIBUTE.reason]: reason })
  return `${otlpLine('any', [span])}\n`
}

/**
 * A trace of so many cards, with all that one can have: forks and joins, trust of every level, taints, and from ten cards on an entry
 * by a stranger, one that was never exported, what hangs on it, and a denial.
 */
export function traceOf(cards: number): string {
  const odd = cards < 10 ? 0 : 4
  const names = ['orders', 'payments', 'gateway'] as const
  const entries = [entryBy('gateway', [], { operation: 'POST /orders', trust_score: 100 })]
  while (entries.length < cards - odd) {
    const i = entries.length
    // A tree that is about as wide as deep, and now and then a join.
    const parents = [
      entries[Math.floor(((i - 1) * 2) / 3)],
      ...(i % 9 === 8 ? [entries[i - 1]] : []),
    ] as MadeEntry[]
    const self = i % 7 === 6 ? [90, 60, 10, 0][i % 4] : 100
    const least = Math.min(...parents.map(({ entry }) => entry.trust_score))
    const added = i % 8 === 5 ? ['pii', 'llm-output', 'a-taint-with-a-rather-long-name'].slice(i % 3) : []
    const taints = new Set([...parents.flatMap(({ entry }) => entry.taints), ...added])
    entries.push(
      entryBy(names[i % 3] as (typeof names)[0], parents, {
        operation: `GET /warehouses/:warehouse/articles/:article/stock/${i}`,
        trust_score: Math.floor((least * (self as number)) / 100),
        added_taints: added,
        taints: [...taints].sort(),
      }),
    )
  }
  if (odd === 0) return exported(...entries)
  const [, second, third] = entries as [MadeEntry, MadeEntry, MadeEntry]
  const lost = entryBy('orders', [second])
  const stranger = entryBy('stranger', [third])
  const refused = denied(entryBy('payments', [second], { operation: 'payments.refund' }), 'trust is below 60')
  return `${exported(...entries, stranger, entryBy('payments', [lost]))}${refused}`
}

export function spanLine(made: MadeEntry): string {
  return `${otlpLine('any', [spanOf(made)])}\n`
}
