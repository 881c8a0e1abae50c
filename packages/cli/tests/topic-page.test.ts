import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  Audit,
  type AuditFinding,
  finding,
  findingJson,
  readFiles,
  type TraceJson,
  traceJson,
} from '@kest/audit'
import { ATTRIBUTE, createKeySource, DEFAULT_LIMITS } from '@kest/core'
import type { VerdictRecord } from '@kest/fleet'
import { describe, expect, it } from 'vitest'
import { denialOf, type OtlpSpan, otlpLine, spanOf } from '../../audit/dist/testing/make-span.js'
import { DEFECTS, soundTrace, Workloads } from '../../audit/dist/testing/plant.js'
import { findingsIn } from '../../fleet/dist/read/read-findings.js'
import { verdictsIn } from '../../fleet/dist/read/read-verdicts.js'
import { MemoryLog } from '../../fleet/dist/testing/memory-log.js'
import { topicsOf } from '../../fleet/dist/topics.js'
import { failOn } from '../src/audit/fail-on.js'
import { pageOfTopics } from '../src/audit/page-of-topic.js'
import { defineCommand } from '../src/command.js'
import { audit } from '../src/commands/audit.js'
import { ReportPage } from '../src/report/report-page.js'
import { folder, type Run } from './support/kest.js'
import { runWithin } from './support/within.js'

const TOPICS = topicsOf('otlp_spans', 'kest')
const PARTITIONS = 3
const HOSTILE = [
  '__proto__',
  `</script><script>globalThis.hacked = 1</script>" onload="1" x='`,
  '\u202egnp.exe\u0000\u001b[2J',
  '</template></style><svg onload=1>',
]

/** Topics of a fleet, as auditors write them. */
class Written {
  readonly log = new MemoryLog({ [TOPICS.verdicts]: PARTITIONS, [TOPICS.findings]: 1 }, 7)
  #offset = 0

  async verdict(
    trace: TraceJson,
    fleet: Partial<VerdictRecord['fleet']> = {},
    more: object = {},
  ): Promise<void> {
    const from = this.#offset
    this.#offset += 3
    const positions = {
      topic: TOPICS.entries,
      partition: 0,
      offsets: [[from, from + 2]] as [number, number][],
    }
    const own = {
      format: 'kest-verdict-1',
      judged_at: 1_790_000_000_000,
      early: false,
      partial: false,
      replaces: null,
    }
    const key = trace.trace_id ?? `untraced:${trace.entries[0]?.hash}`
    await this.put(key, { ...trace, ...more, fleet: { ...own, positions, ...fleet } })
  }

  async put(key: string, value: unknown, topic = TOPICS.verdicts): Promise<void> {
    await this.log.append([{ topic, key, value: Buffer.from(JSON.stringify(value)) }])
  }

  async found(one: AuditFinding, key: string, withdrawn = false): Promise<void> {
    const value = { ...findingJson(one), key, judged_at: 1, ...(withdrawn ? { withdrawn } : {}) }
    await this.put(key, value, TOPICS.findings)
  }

  /** Makes the page, as the command does of the topics of Kafka. */
  async page(...failing: string[]): Promise<{ run: Run; page: string }> {
    const path = join(await folder({}), 'report.html')
    const about = {
      name: 'any',
      summary: '',
      usage: [],
      about: '',
      arguments: [],
      examples: [],
      exitStatus: '',
    }
    const command = defineCommand(about, {}, async (_, io) => {
      const page = new ReportPage({ days: 7 })
      const asked = { page, path, json: false, failing: failOn(failing.length === 0 ? undefined : failing) }
      return await pageOfTopics(
        (unreadable) => ({
          verdicts: verdictsIn(this.log, { topics: TOPICS, limits: DEFAULT_LIMITS, unreadable }),
          findings: findingsIn(this.log, { topics: TOPICS, unreadable }),
        }),
        asked,
        io,
      )
    })
    const run = await runWithin(command, []).catch((error: Error) => ({
      code: 2,
      stdout: '',
      stderr: error.message,
    }))
    return { run, page: await readFile(path, 'utf8').catch(() => '') }
  }
}

function planted(): { spans: OtlpSpan[]; keys: Record<string, object[]> } {
  const workloads = new Workloads()
  const traces = Object.values(DEFECTS).flatMap((defect, n) => [soundTrace(workloads), defect(workloads, n)])
  return { spans: traces.flatMap((one) => one.spans.map(({ span }) => span)), keys: workloads.keys() }
}

/** Of files: the page, and what it is of. */
async function ofFiles(spans: readonly OtlpSpan[], keys: Record<string, object[]>) {
  const text = spans.map((span) => `${otlpLine('any', [span])}\n`).join('')
  const path = await folder({ 'spans.jsonl': text, 'keys.json': { keys } })
  const [file, html] = [join(path, 'spans.jsonl'), join(path, 'report.html')]
  const run = await runWithin(audit, [file, '--trust', join(path, 'keys.json'), '--html', html])
  await using one = new Audit({ trust: createKeySource(new Map(Object.entries(keys)) as never) })
  await one.read(readFiles([file]))
  const traces: TraceJson[] = []
  for await (const report of one.traces()) traces.push(traceJson(report))
  return { run, traces, general: one.summary().general, page: await readFile(html, 'utf8') }
}

/** A section without the pages of traces, of which there are as many as there is room for, and in the order in which they came. */
function section(page: string, id: string): string {
  const found = new RegExp(`<section id="${id}".*?</section>`, 's').exec(page)?.[0] ?? ''
  return found.replaceAll(/ href="#page-\d+"/g, '').replaceAll(/trace \d+/g, 'trace')
}

/** Rows of a table, in some order. */
function rows(page: string, caption: string): string[] {
  const table = new RegExp(`<caption>${caption}.*?</table>`, 's').exec(page)?.[0] ?? ''
  return (table.match(/<tr.*?<\/tr>/gs) ?? [])
    .map((row) =>
      row
        .replaceAll(/<[^>]*>/g, ' ')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    )
    .sort()
}

describe('kest audit --kafka --html', () => {
  it('K-FLEET has the tallies of the page of files, of the same spans, whatever is wrong with them', async () => {
    const { spans, keys } = planted()
    const files = await ofFiles(spans, keys)
    const written = new Written()
    for (const trace of files.traces) {
      await written.verdict({ ...trace, verdict: 'incomplete', findings: [] })
      await written.verdict(trace)
    }
    for (const [n, one] of files.general.entries()) await written.found(one, `process:${n}`)
    const { run, page } = await written.page()
    const counts = (text: string): string[] =>
      text
        .slice(text.search(/^\d[\d,]* traces/m))
        .replace(/ in \d+ spans/, '')
        .split('\n')
        .sort()
    expect(counts(run.stdout)).toEqual(counts(files.run.stdout))
    expect(run.code).toBe(files.run.code)
    expect(section(page, 'verdicts')).toBe(section(files.page, 'verdicts'))
    expect(section(page, 'timeline')).toBe(section(files.page, 'timeline'))
    for (const table of ['Services', 'Calls between services', 'Signed denials', 'Observed refusals'])
      expect([table, rows(page, table)]).toEqual([table, rows(files.page, table)])
    expect(rows(page, 'Services').length).toBeGreaterThan(2)
    const kinds = (text: string): string[] =>
      (text.match(/<details id="finding-.*?<\/summary>/gs) ?? []).sort()
    expect(kinds(page)).toEqual(kinds(files.page))
    expect(kinds(page).length).toBeGreaterThan(30)
    // Who called where only an unsigned span says so is not in a verdict.
    expect(section(page, 'refused')).toContain('as unsigned spans say')
    expect(page.match(/<template id="page-\d+"/g)?.length).toBeGreaterThan(20)
  })

  it('K-FLEET says where it is from, that nothing was verified, and what was early or is partial', async () => {
    const { keys, spans } = planted()
    const [first, second, third] = (await ofFiles(spans.slice(0, 12), keys)).traces as [
      TraceJson,
      TraceJson,
      TraceJson,
    ]
    const written = new Written()
    await written.verdict(first, { early: true })
    await written.verdict(second, { partial: true, judged_at: 1_790_000_009_000 })
    await written.verdict(third)
    const { page } = await written.page()
    const header = /<header.*?<\/header>/s.exec(page)?.[0]
    expect(header).toContain('kest-verdicts')
    expect(header).toContain('between 2026-09-21T14:13:20.000Z and 2026-09-21T14:13:29.000Z, from 9 spans')
    expect(header).toContain('Nothing was verified again')
    expect(header).not.toContain('Every fact here is from what is signed')
    expect(section(page, 'unproven')).toMatch(/<b>1 trace<\/b> was judged early/)
    expect(section(page, 'unproven')).toMatch(/Of <b>1 trace<\/b> some spans were no longer kept/)
  })

  it('K-FLEET ends as an audit does: 0, 1 for findings of a trace and of none, 2 where no verdict is', async () => {
    const { keys } = planted()
    const sound = soundTrace(new Workloads())
    const empty = await new Written().page()
    expect(empty).toMatchObject({ run: { code: 2, stderr: 'no verdict is in kest-verdicts' }, page: '' })
    const written = new Written()
    const [trace] = (
      await ofFiles(
        sound.spans.map(({ span }) => span),
        keys,
      )
    ).traces as [TraceJson]
    await written.verdict({
      ...trace,
      verdict: 'incomplete',
      findings: [findingJson(finding('unsigned', 'one'))],
    })
    expect(await written.page()).toMatchObject({ run: { code: 1 } })
    const well = new Written()
    await well.verdict({ ...trace, verdict: 'incomplete', findings: [] })
    expect(await well.page()).toMatchObject({ run: { code: 0 } })
    await well.found(finding('sequence-gap', 'one is missing'), 'process:1')
    expect(await well.page()).toMatchObject({ run: { code: 1 } })
    expect(await well.page('none')).toMatchObject({ run: { code: 0 } })
    await well.found(finding('sequence-gap', 'one is missing'), 'process:1', true)
    expect(await well.page()).toMatchObject({ run: { code: 0 } })
    await well.put('a'.repeat(32), { verdict: 'verified' })
    const { run, page } = await well.page()
    expect(run.code).toBe(1)
    expect(run.stdout).toMatch(/unreadable: no verdict: .*\(kest-verdicts\/\d:\d\)/)
    expect(section(page, 'findings')).toContain('finding-unreadable')
  })

  it('K-FLEET has no page of a trace where a verdict had no room for all entries', async () => {
    const { keys } = planted()
    const [trace] = (
      await ofFiles(
        soundTrace(new Workloads()).spans.map(({ span }) => span),
        keys,
      )
    ).traces as [TraceJson]
    const written = new Written()
    await written.verdict({ ...trace, entries: trace.entries.slice(0, 1) }, {}, { entries_omitted: 2 })
    const { run, page } = await written.page()
    expect(run.code).toBe(1)
    expect(run.stdout).toContain('limit: the verdicts of 1 traces have no room for 2 of their entries')
    expect(run.stdout).toContain('3 entries')
    expect(page).not.toContain('<template')
  })

  it('K-AUDIT escapes what hostile verdicts and findings say, and keeps none of their controls', async () => {
    const written = new Written()
    const workloads = new Workloads()
    const root = workloads.gateway.make([])
    const spans = HOSTILE.map((text) => {
      const denied = denialOf(workloads.payments.make([root], { operation: text }))
      Object.assign(denied.attributes, { [ATTRIBUTE.errorType]: text, [ATTRIBUTE.reason]: text })
      return denied
    })
    const { traces } = await ofFiles([spanOf(root), ...spans], workloads.keys())
    const trace = traces[0] as TraceJson
    for (const [n, text] of HOSTILE.entries()) {
      const holder = {
        hash: 'a'.repeat(64),
        principal: text,
        operation: text,
        parent_ids: [text],
        timestamp_ms: 9e15,
        holder: text,
        named_by: [text],
        exported: false,
        place: text,
      }
      const found = { ...findingJson(finding('broken', text, { place: text, entryHash: text })) }
      const trace_id = String(n).repeat(32)
      await written.verdict(
        { ...trace, trace_id, verdict: 'broken', receipts: [holder], findings: [found] },
        { positions: { topic: text, partition: -1, offsets: [[0, 2 ** 53 - 2]] } },
        { more: text, [text]: text },
      )
      await written.found(finding('silent', text, { place: text }), text)
      await written.put(text, { [text]: text })
      await written.put(`untraced:${text}`, { ...trace, trace_id: text })
    }
    const { run, page } = await written.page()
    expect(run.code).toBe(1)
    expect(page).toContain('4 broken')
    expect(page.match(/<script/g)).toHaveLength(1)
    expect(page.match(/<svg[^>]* onload|<[a-z]+[^>]* onload="1"/g)).toBeNull()
    expect(page.match(/\p{Bidi_Control}|(?!\n)\p{Cc}/gu)).toBeNull()
    expect(run.stdout.match(/\p{Bidi_Control}|(?!\n)\p{Cc}/gu)).toBeNull()
    expect(page).toContain('&lt;/script&gt;&lt;script&gt;globalThis.hacked = 1&lt;/script&gt;')
  })

  it('K-FLEET keeps and shows the beginnings of hostile texts alone, however long they are', async () => {
    const { keys } = planted()
    const { spans } = soundTrace(new Workloads())
    const all = spans.map(({ span }) => span)
    const [trace] = (await ofFiles(all, keys)).traces as [TraceJson]
    const written = new Written()
    await written.verdict(trace)
    const long = 'x'.repeat(200_000)
    for (let n = 0; n < 40; n++)
      await written.found(finding('silent', `${n}${long}`, { place: `${n}${long}`, entryHash: long }), `${n}`)
    const { run, page } = await written.page()
    expect(run.stdout).toContain('40  silent')
    expect(run.stdout.length).toBeLessThan(100_000)
    expect(page.length).toBeLessThan(500_000)
  })

  it('K-FLEET takes the place of no file that says how brokers are reached', async () => {
    const sasl = { mechanism: 'PLAIN', username: 'any', password_file: 'password' }
    const security = JSON.stringify({ tls: { ca: 'ca.pem' }, sasl })
    const files = { 'security.json': security, 'ca.pem': 'a certificate', password: 'a secret' }
    const path = await folder(files)
    const own = ['--kafka', '127.0.0.1:1', '--kafka-security', join(path, 'security.json')]
    for (const name of Object.keys(files)) {
      await expect(runWithin(audit, [...own, '--html', join(path, name)])).rejects.toThrow(
        /it is read, and would be replaced/,
      )
    }
  })

  it.each([
    [['--trust', 'trust.json'], '--trust is not for --html with --kafka'],
    [['--topic', 'spans'], '--topic is not for --html with --kafka'],
    [['--group', 'any'], '--group is not for --html with --kafka'],
    [['--settle', '3'], '--settle is not for --html with --kafka'],
    [['--roster', 'roster.json'], '--roster is not for --html with --kafka'],
    [['--create-topics', '3'], '--create-topics is not for --html with --kafka'],
    [['--service', 'orders'], '--service is not for --html with --kafka'],
    [['--only-findings'], '--only-findings is not for --html with --kafka'],
    [['--json', '--table'], '--json or --table, not both'],
    [['spans.jsonl'], '--kafka reads no files'],
    [['--html', '-'], '--html: expected a file'],
    [['--days', 'none'], '--days: expected days'],
  ])('takes %j for a mistake', async (args, why) => {
    const html = args.includes('--html') ? [] : ['--html', 'report.html']
    await expect(runWithin(audit, ['--kafka', '127.0.0.1:1', ...html, ...args])).rejects.toThrow(why)
  })

  it('K-FLEET says so, and ends with 2, where no broker is, and where the page cannot be written', async () => {
    const path = await folder({})
    const html = join(path, 'report.html')
    await expect(runWithin(audit, ['--kafka', '127.0.0.1:1', '--html', html])).rejects.toThrow(
      /kafka: topic kest-verdicts/,
    )
    await expect(
      runWithin(audit, ['--kafka', '127.0.0.1:1', '--html', join(path, 'none', 'report.html')]),
    ).rejects.toThrow(/--html/)
  })
})
