import { createHash } from 'node:crypto'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ATTRIBUTE } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'
import { describe, expect, it } from 'vitest'
import { makeDenial, signedDenialOf } from '../../audit/dist/testing/make-denial.js'
import { denialOf, otlpLine, spanOf } from '../../audit/dist/testing/make-span.js'
import { audit } from '../src/commands/audit.js'
import { folder, lines, type Run } from './support/kest.js'
import { chain, entryBy, exported, KEYS } from './support/spans.js'
import { runWithin } from './support/within.js'

const HACK = '</script><script>globalThis.hacked = 1</script>'
const HOSTILE = [
  '__proto__',
  `${HACK}" onload="1" x='`,
  '\u202egnp.exe\u0000\u001b[2J',
  '</template></style><svg onload=1>',
]

async function report(
  spans: string,
  options: readonly string[] = [],
): Promise<{ run: Run; page: string; path: string }> {
  const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': spans })
  const run = await audited(path, '--html', join(path, 'report.html'), ...options)
  return { run, page: await readFile(join(path, 'report.html'), 'utf8').catch(() => ''), path }
}

async function audited(path: string, ...options: readonly string[]): Promise<Run> {
  return await runWithin(audit, [join(path, 'spans.jsonl'), '--trust', join(path, 'keys.json'), ...options])
}

describe('kest audit --html', () => {
  it('writes one page of all of it, and says the summary as ever', async () => {
    const { run, page } = await report(exported(...chain(), entryBy('stranger', [])))
    expect(run.stderr).toBe('')
    expect(run.code).toBe(1)
    expect(run.stdout).toMatch(/^✗|^·|^2 traces/m)
    expect(run.stdout).toContain('2 traces: 1 verified, 1 broken\n')
    expect(run.stdout).not.toContain('Parent Hash')
    expect(page).toContain('<title>Audit of 2 traces</title>')
    for (const said of [
      '1 broken',
      'principal-unknown',
      'What is not proven, and why',
      'Calls between services',
    ])
      expect(page).toContain(said)
    // gateway → orders → payments
    expect(page.match(/<tr role="row" id="call-\d+"/g)).toHaveLength(2)
    expect(page.match(/<tr role="row" id="service-\d+"/g)).toHaveLength(3)
    expect(page.match(/<template id="page-\d+"/g)).toHaveLength(2)
  })

  it('prints JSON of the summary alone with --json, and what was observed beside with --observed', async () => {
    const spans = exported(...chain())
    const { run } = await report(spans, ['--json'])
    expect(lines(run)).toEqual([expect.objectContaining({ summary: expect.objectContaining({ traces: 1 }) })])
    const beside = await report(spans, ['--observed', '--days', '3'])
    expect(beside.run.stdout).toContain('GET /orders/:id of spiffe://kest.test/orders')
    expect(beside.page).toContain('by 3 days of records')
  })

  it('counts what other traces build on once, where it is', async () => {
    const root = entryBy('gateway', [])
    const others = ['b', 'c'].map((one) =>
      entryBy('orders', [root], { labels: { trace_id: one.repeat(32) } }),
    )
    const { page } = await report(exported(root, ...others))
    const [service, call] = ['service', 'call'].map((what) => {
      const row = new RegExp(`<tr role="row" id="${what}-\\d+".*?</tr>`, 'gs')
      return (page.match(row) ?? []).map((one) =>
        one
          .replaceAll(/<[^>]*>/g, ' ')
          .replaceAll(/ +/g, ' ')
          .trim(),
      )
    })
    expect(call).toEqual([expect.stringMatching(/^gateway orders 2 0 /)])
    // Entries, not proven, begun.
    expect(service).toEqual([
      expect.stringMatching(/^orders 2 0 0 /),
      expect.stringMatching(/^gateway 1 0 1 /),
    ])
  })

  it('K-DENIAL tells what a workload has signed that it refused from what a span says', async () => {
    const root = entryBy('gateway', [])
    const denial = makeDenial(new MockIdentityProvider('payments').current(), [root], {
      operation: 'payments.refund',
      policies: ['payments/refund'],
    })
    const said = denialOf(entryBy('orders', [root], { operation: 'orders.cancel' }))
    const spans = [spanOf(root), signedDenialOf(denial), said]
    const { page } = await report(spans.map((span) => `${otlpLine('any', [span])}\n`).join(''))
    const table = (caption: string): string =>
      new RegExp(`<caption>${caption}.*?</table>`, 's').exec(page)?.[0] ?? ''
    expect(table('Signed denials')).toContain('payments.refund')
    expect(table('Signed denials')).toContain('payments/refund')
    expect(table('Signed denials')).not.toContain('orders.cancel')
    expect(table('Denied operations')).toContain('orders.cancel')
    expect(table('Denied operations')).not.toContain('payments.refund')
    // Of whom there is nothing but a denial it has signed is there; of whom only a span speaks is not.
    expect(table('Calls between services').match(/<th role="rowheader"/g)).toHaveLength(1)
    expect(table('Calls between services')).toMatch(/gateway.*payments.*1 denied.*payments\/refund/s)
    expect(table('Services')).not.toContain('orders')
  })

  it('lets nothing run but its own scripts and styles, and loads nothing', async () => {
    const { page } = await report(exported(...chain()))
    const policy = /Content-Security-Policy" content="([^"]+)"/.exec(page)?.[1]
    expect(policy).toMatch(
      /^default-src 'none'; script-src '[^' ]+' '[^' ]+'; style-src '[^' ]+' '[^' ]+'; base-uri/,
    )
    const inner = page.replaceAll(/srcdoc="[^"]*"/g, '')
    for (const [, tag, content] of inner.matchAll(/<(script|style)>(.*?)<\/\1>/gs))
      expect([
        tag,
        policy?.includes(
          `sha256-${createHash('sha256')
            .update(content as string)
            .digest('base64')}`,
        ),
      ]).toEqual([tag, true])
    expect(inner.match(/<script/g)).toHaveLength(1)
    expect(inner).not.toMatch(/\ssrc=|href="(?!#)|url\((?!#)|@import|\sstyle=/)
  })

  it('K-AUDIT escapes names, labels, findings, refusals and places of strangers, and keeps none of their controls', async () => {
    const root = entryBy('gateway', [])
    const spans = HOSTILE.flatMap((text) => {
      const entry = entryBy('orders', [root], {
        operation: text,
        added_taints: [text],
        taints: [text],
        labels: { 'kest.observed': JSON.stringify([{ tier: 'function', policy: text, code: text }]) },
      })
      const denial = denialOf(entryBy('payments', [root], { operation: text, labels: { principal: text } }))
      Object.assign(denial.attributes, { [ATTRIBUTE.errorType]: text, [ATTRIBUTE.reason]: text })
      return [spanOf(entry), spanOf(entryBy('stranger', [root], { labels: { principal: text } })), denial]
    })
    const { page } = await report(
      exported(root) + spans.map((span) => `${otlpLine('any', [span])}\n`).join(''),
    )
    expect(page.match(/<script/g)).toHaveLength(1)
    expect(page.match(/<svg[^>]* onload|<[a-z]+[^>]* onload="1"/g)).toBeNull()
    expect(page.match(/\p{Bidi_Control}|(?!\n)\p{Cc}/gu)).toBeNull()
    expect(page).toContain('&lt;/script&gt;&lt;script&gt;globalThis.hacked = 1&lt;/script&gt;')
    expect(page).toContain('__proto__')
    expect(page).toContain('\\u{202e}gnp.exe\\u{0}\\u{1b}[2J')
  })

  it('does not grow with what strangers write: of texts of a megabyte it has the beginnings, of three thousand kinds the first', async () => {
    const root = entryBy('gateway', [])
    const large = 'x'.repeat(1_048_576)
    const denial = denialOf(entryBy('payments', [root], { labels: { principal: large }, operation: large }))
    denial.attributes[ATTRIBUTE.reason] = large
    const many = Array.from({ length: 3_000 }, (_, n) => {
      const traceId = n.toString(16).padStart(32, '0')
      return {
        ...denial,
        name: 'kest.verified.x',
        traceId,
        attributes: {
          [ATTRIBUTE.decision]: 'deny',
          [ATTRIBUTE.operation]: `operation ${n}`,
          [ATTRIBUTE.traceId]: traceId,
        },
      }
    })
    const { page } = await report(`${exported(root)}${otlpLine('any', [denial])}\n${otlpLine('any', many)}\n`)
    expect(page).toContain('<title>Audit of 3,001 traces</title>')
    expect(page).toContain('2,801 more, which are not listed')
    expect(page.length).toBeLessThan(16_000_000)
    expect(page.replaceAll(/srcdoc="[^"]*"/g, '').length).toBeLessThan(500_000)
  })

  it('opens the pages of traces that are of a size to be looked at, and says which it has not', async () => {
    const root = entryBy('gateway', [])
    const wide = Array.from({ length: 150 }, () => entryBy('orders', [root]))
    const { page } = await report(exported(root, ...wide))
    expect(page).not.toContain('<template')
    expect(page).toContain('The pages of 0 traces are in it')
    expect(page).toContain(`trace <bdi class="long">${root.entry.labels['trace_id']}`)
  })

  it.each([
    [['--html', '-'], '--html: expected a file: the summary is on standard output'],
    [['--html', 'PATH/report.html', '--only-findings'], '--html or --only-findings, not both'],
    [['--html', 'PATH/report.html', '--trace', 'a'.repeat(32)], '--html is of all traces'],
    [['--html', 'PATH/nowhere/report.html'], 'there is no folder'],
    [['--html', 'PATH/spans.jsonl'], 'it is read, and would be replaced'],
    [['--html', 'PATH/a.json', '--roster', 'PATH/a.json'], 'it is read, and would be replaced'],
    [['--html', 'PATH/a.json', '--replay', 'PATH/b.cedar,PATH/a.json'], 'it is read, and would be replaced'],
    [['--html', 'PATH/report.html', '--days', '0'], '--days: expected days, such as 7, got "0"'],
    [['--days', '7'], '--days is for --observed and --html'],
  ])('refuses %j', async (options, message) => {
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(...chain()), 'a.json': '{}' })
    const given = options.map((one) => one.replaceAll('PATH', path))
    await expect(audited(path, ...given)).rejects.toThrow(message)
  })

  it('leaves what is there where there is nothing to show, or no file to write', async () => {
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': '', 'report.html': 'of before' })
    await expect(audited(path, '--html', join(path, 'report.html'))).rejects.toThrow('no span of Kest')
    expect(await readFile(join(path, 'report.html'), 'utf8')).toBe('of before')
    await mkdir(join(path, 'a-folder'))
    await writeFile(join(path, 'spans.jsonl'), exported(...chain()))
    await expect(audited(path, '--html', join(path, 'a-folder'))).rejects.toThrow('it cannot be written')
    expect((await stat(join(path, 'a-folder'))).isDirectory()).toBe(true)
  })
})
