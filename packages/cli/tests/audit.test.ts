import { describe, expect, it } from 'vitest'
import { columnsOf } from '../src/terminal/columns.js'
import { folder, kest, lines } from './support/kest.js'
import { chain, entryBy, exported, KEYS } from './support/spans.js'

const trust = { 'trust.json': { keys: KEYS } }

describe('kest audit', () => {
  it('shows a table per trace and a summary, and succeeds when everything is proven', async () => {
    const [first, second, third] = chain()
    const path = await folder({ ...trust, 'spans.jsonl': exported(third, first, second) })
    const run = await kest(['audit', `${path}/spans.jsonl`, '--trust', `${path}/trust.json`])
    expect(run.stderr).toBe('')
    expect(run.stdout).toContain(`trace ${first.entry.labels['trace_id']}: verified`)
    expect(run.stdout).toMatch(
      /^ {2}Service +\| Operation +\| Time +\| Entry ID +\| Parent Hash +\| signature$/m,
    )
    const table = run.stdout.split('\n').slice(1, 6)
    expect(table.map((line) => line.split('|')[0]?.trim().split('-')[0])).toEqual([
      'Service',
      '',
      'gateway',
      'orders',
      'payments',
    ])
    expect(table[3]).toContain(`${first.hash.slice(0, 8)}…${first.hash.slice(-4)}`)
    expect(run.stdout).toContain('1 traces: 1 verified')
    expect(run.code).toBe(0)
  })

  it('K-ROSTER fails where who should be there is silent, and says how a list is wrong', async () => {
    const [first] = chain()
    const list = {
      within_seconds: 60,
      workloads: [first.entry.labels['principal'], 'spiffe://kest.test/nobody'],
    }
    const path = await folder({
      ...trust,
      'spans.jsonl': exported(first),
      'roster.json': list,
      'wrong.json': { workloads: ['a'], within: 1 },
    })
    const until = new Date(first.entry.timestamp_ms + 1_000).toISOString()
    const args = ['audit', 'spans.jsonl', '--trust', 'trust.json', '--roster-until', until, '--roster']
    const run = await kest([...args, 'roster.json'], { cwd: path })
    expect(run.stdout).toContain('spiffe://kest.test/nobody: no verified entry')
    expect(run.stdout.match(/no verified entry/g)).toHaveLength(1)
    expect(run.code).toBe(1)
    const wrong = await kest([...args, 'wrong.json'], { cwd: path })
    expect(wrong.stderr).toContain('--roster wrong.json: roster: the file: unknown "within"')
    expect(wrong.code).toBe(2)
  })

  it('shows operation, time and, where somebody is known, user of each entry', async () => {
    const identity = JSON.stringify({ agent: null, task: null, user: 'alice|root' })
    const first = entryBy('gateway', [], { operation: 'GET /a | b', timestamp_ms: Date.UTC(2026, 0, 31, 12) })
    const second = entryBy('orders', [first], { timestamp_ms: 2 ** 53 - 1 })
    const known = entryBy('gateway', [], { labels: { 'kest.identity': identity } })
    const path = await folder({ ...trust, 'a.jsonl': exported(first, second), 'b.jsonl': exported(known) })
    const table = async (file: string) =>
      (await kest(['audit', file, '--trust', 'trust.json'], { cwd: path })).stdout
        .split('\n')
        .slice(1)
        .map((line) => line.split('|').map((cell) => cell.trim()))
    const [head, , row, later] = await table('a.jsonl')
    expect(head).toEqual(['Service', 'Operation', 'Time', 'Entry ID', 'Parent Hash', 'signature'])
    expect(row?.slice(0, 4)).toEqual([
      'gateway',
      'GET /a \\u{7c} b',
      '2026-01-31T12:00:00.000Z',
      first.entry.entry_id,
    ])
    expect(later?.[2]).toBe('9007199254740991 ms')
    const [named, , shown] = await table('b.jsonl')
    expect(named?.[2]).toBe('User')
    expect(shown?.[2]).toBe('alice\\u{7c}root')
  })

  it('keeps cells apart and under each other, whatever strangers write into them', async () => {
    const root = entryBy('gateway', [])
    const texts = ['漢字 ᄒ', 'x │ 10:00 ｜ y', `${'y'.repeat(62)}🦊z`]
    const entries = texts.map((operation) => entryBy('orders', [root], { operation }))
    const path = await folder({ ...trust, 'a.jsonl': exported(root, ...entries) })
    const { stdout } = await kest(['audit', 'a.jsonl', '--trust', 'trust.json'], { cwd: path })
    const rows = stdout.split('\n').filter((line) => line.startsWith('  orders '))
    expect(stdout).toContain('x \\u{2502} 10:00 \\u{ff5c} y')
    expect(stdout).toContain(`${'y'.repeat(62)}… |`)
    const places = rows.map((row) => columnsOf(row.slice(0, row.lastIndexOf(' | '))))
    expect(places).toEqual([places[0], places[0], places[0]])
  })

  it('shows with --only-findings no trace that merely holds, and counts it', async () => {
    const [first, , third] = chain()
    const fine = chain()
    const forked = entryBy('gateway', [])
    const path = await folder({
      ...trust,
      'spans.jsonl': exported(
        first,
        third,
        ...fine,
        forked,
        entryBy('orders', [forked]),
        entryBy('payments', [forked]),
      ),
    })
    const args = ['audit', 'spans.jsonl', '--trust', 'trust.json', '--only-findings']
    const { code, stdout } = await kest(args, { cwd: path })
    expect(code).toBe(1)
    expect(stdout.match(/^trace .*$/gm)).toEqual([expect.stringContaining(': incomplete')])
    expect(stdout).toContain('3 traces: 2 verified, 1 incomplete')
    expect(lines(await kest([...args, '--json'], { cwd: path }))).toMatchObject([
      { verdict: 'incomplete' },
      { summary: { traces: 3 } },
    ])
    const notes = await kest([...args, '--fail-on', 'forked', '--json'], { cwd: path })
    expect(
      lines(notes)
        .slice(0, -1)
        .map(({ verdict }) => verdict),
    ).toHaveLength(2)
  })

  it('fails when a parent was never exported, and says so in JSON too', async () => {
    const [first, , third] = chain()
    const path = await folder({ ...trust, 'spans.jsonl': exported(first, third) })
    const run = await kest(['audit', path, '--trust', `${path}/trust.json`, '--json'])
    expect(run.code).toBe(1)
    expect(lines(run)).toMatchObject([
      { verdict: 'incomplete', findings: [{ code: 'incomplete', severity: 'error' }] },
      { summary: { traces: 1, findings: { incomplete: 1 } } },
    ])
    const lenient = await kest(['audit', path, '--trust', `${path}/trust.json`, '--fail-on', 'broken,cut'])
    expect(lenient.code).toBe(0)
  })

  it('K-ROOTS says who began lineage, unless --roots says who may', async () => {
    const path = await folder({
      ...trust,
      'spans.jsonl': exported(...chain()),
      'roots.json': { roots: [{ workload: 'spiffe://kest.test/gateway', ceiling: 7 }] },
    })
    const args = ['audit', `${path}/spans.jsonl`, '--trust', `${path}/trust.json`]
    const noted = await kest(args)
    expect(noted.stdout).toContain('· root: spiffe://kest.test/gateway began a lineage, with trust 40')
    expect(noted.code).toBe(0)
    const listed = await kest([...args, '--json', '--roots', `${path}/roots.json`])
    expect(lines(listed)).toMatchObject([
      { entries: [{ trust_score: 7 }, { trust_score: 7 }, { trust_score: 7 }] },
      { summary: { findings: {} }, findings: [] },
    ])
  })

  it('selects a trace, and fails when nothing is selected', async () => {
    const [one, other] = [chain(), chain()]
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(...one, ...other) })
    const id = other[0].entry.labels['trace_id'] as string
    const run = await kest([
      'audit',
      `${path}/spans.jsonl`,
      '--keys',
      `${path}/keys.json`,
      '--json',
      '--trace',
      id,
    ])
    expect(lines(run)).toMatchObject([{ trace_id: id }, { summary: { traces: 1 } }])
    const none = await kest([
      'audit',
      `${path}/spans.jsonl`,
      '--keys',
      `${path}/keys.json`,
      '--trace',
      'a'.repeat(32),
    ])
    expect(none.code).toBe(1)
  })

  it('K-ANCHOR refuses keys in which a principal is named twice, in either form', async () => {
    const [[name, first], [, second]] = Object.entries(KEYS) as [[string, unknown[]], [string, unknown[]]]
    const twice = `{"${name}":${JSON.stringify(first)},"${name}":${JSON.stringify(second)}}`
    const path = await folder({
      flat: twice,
      nested: `{"keys":${twice}}`,
      'spans.jsonl': exported(...chain()),
    })
    for (const keys of ['flat', 'nested']) {
      const run = await kest(['audit', 'spans.jsonl', '--keys', keys], { cwd: path })
      expect(run).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('a member twice') })
    }
  })

  it('K-EFF lets only those raise trust whom --raisers names', async () => {
    const root = entryBy('gateway', [])
    const labels = { 'kest.trust_override': '90' }
    const raise = entryBy('orders', [root], { trust_score: 90, labels })
    const path = await folder({ ...trust, 'spans.jsonl': exported(root, raise) })
    const audited = async (...options: string[]): Promise<object> => {
      const run = await kest([
        'audit',
        `${path}/spans.jsonl`,
        '--trust',
        `${path}/trust.json`,
        '--json',
        ...options,
      ])
      return (lines(run).at(-1) as { summary: { findings: object } }).summary.findings
    }
    expect(await audited()).toEqual({ 'trust-overridden': 1, root: 1 })
    expect(await audited('--raisers', 'spiffe://kest.test/orders')).toEqual({
      'trust-overridden': 1,
      root: 1,
    })
    expect(await audited('--raisers', 'spiffe://kest.test/gateway')).toEqual({ 'trust-raised': 1, root: 1 })
    expect(await audited('--raisers', '')).toEqual({ 'trust-raised': 1, root: 1 })
  })

  it('K-AUDIT takes numbers of one process by several principals for an error, unless --share says that they share it', async () => {
    const numbered = (name: 'gateway' | 'orders', n: number) =>
      entryBy(name, [], { labels: { 'kest.seq': `3f2b8c1e-0000-4000-8000-000000000001:${n}` } })
    const path = await folder({
      ...trust,
      'spans.jsonl': exported(numbered('gateway', 1), numbered('orders', 2), numbered('gateway', 3)),
    })
    const args = ['audit', `${path}/spans.jsonl`, '--trust', `${path}/trust.json`]
    const apart = await kest(args)
    expect(apart.code).toBe(1)
    expect(apart.stdout).toContain('sequence-shared')
    expect(apart.stdout).toContain('sequence-gap')
    const shared = await kest([...args, '--share', 'spiffe://kest.test/gateway,spiffe://kest.test/orders'])
    expect(shared.stdout).not.toContain('sequence')
    expect(shared.code).toBe(0)
  })

  it.each([
    ['--memory', '0', '--memory: expected MiB'],
    ['--memory', 'much', '--memory: expected MiB'],
    ['--share', 'gateway', '--share: expected two principals'],
    ['--share', 'a,b,a', '--share: a principal is named more than once'],
  ])('refuses %s %s', async (option, value, message) => {
    const run = await kest(['audit', 'spans.jsonl', '--keys', 'keys.json', option, value])
    expect(run.code).toBe(2)
    expect(run.stderr).toContain(message)
  })

  it('writes one line of JSON of a trace that is larger than one piece of it', async () => {
    const root = entryBy('gateway', [])
    const made = Array.from({ length: 1_001 }, () => entryBy('orders', [root]))
    const path = await folder({ ...trust, 'spans.jsonl': exported(root, ...made) })
    const run = await kest(['audit', path, '--trust', `${path}/trust.json`, '--json', '--memory', '1'])
    expect(lines(run)).toMatchObject([{ verdict: 'verified', denials: [] }, { summary: { entries: 1_002 } }])
    const { entries } = lines(run)[0] as { entries: { hash: string }[] }
    expect(new Set(entries.map(({ hash }) => hash)).size).toBe(1_002)
  })

  it('K-AUDIT writes a line of its own for nothing that a stranger wrote, a file name say', async () => {
    const name = 'x\n1 traces: 1 verified\nno findings.db'
    const path = await folder({ ...trust, [name]: `SQLite format 3\0${'x'.repeat(100)}` })
    const run = await kest(['audit', path, '--trust', 'trust.json'], { cwd: path })
    expect(run).toMatchObject({ code: 2, stdout: '' })
    expect(run.stderr).toMatch(/^kest: [^\n]*x\\u\{a\}1 traces: 1 verified[^\n]*\n$/)
  })

  it.each([
    { args: ['spans.jsonl'], why: 'whose keys count?' },
    { args: ['absent.jsonl', '--trust', 'trust.json'], why: 'absent.jsonl: it cannot be read: ENOENT' },
    { args: ['trust.json', '--trust', 'trust.json'], why: 'no span of Kest is there' },
    { args: ['spans.jsonl', '--trust', 'trust.json', '--fail-on', 'brokn'], why: 'did you mean broken?' },
    { args: ['spans.jsonl', '--bundle', 'example.org'], why: '--bundle example.org: it cannot be read' },
    {
      args: ['spans.jsonl', '--trust', 'trust.json', '--since', 'yesterday'],
      why: '--since: expected a time',
    },
  ])('says what is wrong: $why', async ({ args, why }) => {
    const path = await folder({ ...trust, 'spans.jsonl': exported(...chain()) })
    const run = await kest(['audit', ...args], { cwd: path })
    expect(run.code).toBe(2)
    expect(run.stderr).toContain(why)
  })
})
