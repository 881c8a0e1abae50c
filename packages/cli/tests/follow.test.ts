import { appendFile, mkdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { audit } from '../src/commands/audit.js'
import { folder, lines, type Running, start } from './support/kest.js'
import { chain, entryBy, exported, KEYS } from './support/spans.js'
import { runWithin } from './support/within.js'

interface Line {
  readonly trace_id?: string | null
  readonly verdict?: string
  readonly entries?: readonly unknown[]
  readonly findings?: readonly { readonly code: string }[]
  readonly fleet?: {
    readonly early: boolean
    readonly replaces: { readonly verdict: string; readonly judged_at: number } | null
    readonly judged_at: number
  }
  readonly finding?: {
    readonly code: string
    readonly place: string
    readonly message: string
    readonly key?: string
    readonly withdrawn?: boolean
  }
  readonly summary?: { readonly spans: number; readonly verdicts: number }
}

interface Following extends Running {
  /** Waits until that was said on standard error, once more than before. */
  heard(text: string): Promise<void>
  /** The next line for which that holds, of those after the one before. */
  next(holds: (line: Line) => boolean): Promise<Line>
  stop(signal?: NodeJS.Signals): Promise<{ readonly code: number | null; readonly lines: Line[] }>
}

/** Follows `spans` of a folder, as a process of its own. */
async function following(
  path: string,
  args: readonly string[] = ['--settle', '0.3'],
  keys: unknown = KEYS,
): Promise<Following> {
  await writeFile(`${path}/keys.json`, JSON.stringify(keys))
  const command = ['audit', '--follow', 'spans', '--keys', 'keys.json', '--json', ...args]
  const running = start(command, { cwd: path })
  onTestFinished(() => void running.child.kill('SIGKILL'))
  let printed = ''
  let said = ''
  let seen = 0
  let heardTo = 0
  running.child.stdout.on('data', (data: Buffer) => {
    printed += data.toString()
  })
  running.child.stderr.on('data', (data: Buffer) => {
    said += data.toString()
  })
  const whole = (): Line[] =>
    printed
      .slice(0, printed.lastIndexOf('\n') + 1)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
  await vi.waitFor(() => expect(said).toContain('following spans'), { timeout: 60_000 })
  return {
    ...running,
    async heard(text) {
      await vi.waitFor(() => expect(said.slice(heardTo)).toContain(text), { timeout: 60_000 })
      heardTo = said.indexOf(text, heardTo) + text.length
    },
    async next(holds) {
      const at = await vi.waitFor(
        () => {
          const found = whole().findIndex((line, n) => n >= seen && holds(line))
          expect(found, printed).not.toBe(-1)
          return found
        },
        { timeout: 60_000 },
      )
      seen = at + 1
      return whole()[at] as Line
    },
    async stop(signal = 'SIGTERM') {
      running.child.kill(signal)
      const run = await running.ended
      return { code: run.code, lines: lines(run) as Line[] }
    },
  }
}

const isVerdict = (line: Line): boolean => line.verdict !== undefined
const codes = ({ findings = [] }: Line): string[] => findings.map(({ code }) => code)

async function spansFolder(files: Readonly<Record<string, string | Buffer>> = {}): Promise<string> {
  const path = await folder({})
  await mkdir(`${path}/spans`)
  for (const [name, text] of Object.entries(files)) await writeFile(`${path}/spans/${name}`, text)
  return path
}

describe('kest audit --follow', () => {
  it('K-FLEET judges a trace when it has settled, and again with all its spans when more comes', async () => {
    const [first, second, third] = chain()
    const path = await spansFolder({ 'a.jsonl': exported(first, third) })
    const run = await following(path)
    const early = await run.next(isVerdict)
    expect(early).toMatchObject({
      verdict: 'incomplete',
      fleet: { early: false, partial: false, replaces: null },
    })
    await writeFile(`${path}/spans/b.jsonl`, exported(second))
    const late = await run.next(isVerdict)
    expect(late).toMatchObject({ trace_id: early.trace_id, verdict: 'verified' })
    expect(late.entries).toHaveLength(3)
    expect(late.fleet?.replaces).toEqual({ verdict: 'incomplete', judged_at: early.fleet?.judged_at })
    expect((await run.stop()).lines.at(-1)).toEqual({ summary: { spans: 3, other_spans: 0, verdicts: 2 } })
  }, 120_000)

  it('K-FLEET never turns broken into verified by what comes late', async () => {
    const [first, second, third] = chain()
    const forged = { ...second, jws: `${second.jws.slice(0, -6)}AAAAAA` }
    const path = await spansFolder({ 'a.jsonl': exported(first, forged, third) })
    const run = await following(path)
    const broken = await run.next(isVerdict)
    expect(broken.verdict).toBe('broken')
    const traceId = first.entry.labels['trace_id']
    await rm(`${path}/spans/a.jsonl`)
    const root = entryBy('gateway', [], { labels: { trace_id: traceId } })
    await writeFile(`${path}/spans/b.jsonl`, exported(root))
    const late = await run.next(isVerdict)
    expect(late).toMatchObject({
      trace_id: traceId,
      verdict: 'broken',
      fleet: { replaces: { verdict: 'broken' } },
    })
    expect(codes(late)).toEqual(expect.arrayContaining(codes(broken)))
    expect((await run.stop()).code).toBe(1)
  }, 120_000)

  it('reads on a file that is renamed, and what comes in its place', async () => {
    const [first, second, third] = chain()
    const path = await spansFolder({ 'a.jsonl': exported(first) })
    const run = await following(path)
    await run.next(isVerdict)
    await rename(`${path}/spans/a.jsonl`, `${path}/spans/a-1.jsonl`)
    await appendFile(`${path}/spans/a-1.jsonl`, exported(second))
    await writeFile(`${path}/spans/a.jsonl`, exported(third))
    await run.next(({ verdict, entries }) => verdict === 'verified' && entries?.length === 3)
    const { code, lines: all } = await run.stop()
    expect(all.filter(({ finding }) => finding !== undefined)).toEqual([])
    expect(all.at(-1)?.summary?.spans).toBe(3)
    expect(code).toBe(0)
  }, 120_000)

  it('K-ANCHOR reads trust files again while it runs: a key that comes, one that goes, and a file that is broken', async () => {
    const path = await spansFolder()
    await writeFile(`${path}/more.json`, '{"keys":{}}')
    const { gateway, ...others } = Object.fromEntries(
      Object.entries(KEYS).map(([name, keys]) => [name.includes('gateway') ? 'gateway' : name, [name, keys]]),
    ) as Record<string, [string, unknown]>
    const without = Object.fromEntries(Object.values(others))
    const run = await following(path, ['--settle', '0.3', '--trust', 'more.json'], without)
    const put = async (name: string, text: string): Promise<void> => {
      await writeFile(`${path}/new`, text)
      await rename(`${path}/new`, `${path}/${name}`)
    }
    let files = 0
    const verdict = async (): Promise<string | undefined> => {
      const made = entryBy('gateway', [])
      await writeFile(`${path}/spans/${++files}.jsonl`, exported(made))
      return (await run.next(({ trace_id }) => trace_id === made.entry.labels['trace_id'])).verdict
    }
    expect(await verdict()).toBe('broken')
    await put('more.json', JSON.stringify(Object.fromEntries([gateway as [string, unknown]])))
    await run.heard('read again, and counts from now on: more.json, keys.json\n')
    expect(await verdict()).toBe('verified')
    // The other is good, and says the less; neither counts.
    await put('keys.json', '{"keys":{}}')
    await put('more.json', '{"half":')
    await run.heard('what was there before counts, and it is looked at again\n')
    expect(await verdict()).toBe('verified')
    await put('keys.json', JSON.stringify(without))
    await put('more.json', '{"keys":{}}')
    await run.heard('read again, and counts from now on')
    expect(await verdict()).toBe('broken')
    await put('more.json', JSON.stringify(without))
    await run.heard('is given twice; what was there before counts')
    expect((await run.stop()).code).toBe(1)
  }, 120_000)

  it('waits for the other half of a line, and says at the end that one never came', async () => {
    const [first, second] = chain()
    const [one, two] = [exported(first), exported(second)]
    const path = await spansFolder({ 'a.jsonl': one.slice(0, 700) })
    const run = await following(path)
    await appendFile(`${path}/spans/a.jsonl`, one.slice(700) + two.slice(0, 100))
    expect(await run.next(isVerdict)).toMatchObject({ verdict: 'verified', findings: expect.any(Array) })
    const { code, lines: all } = await run.stop('SIGINT')
    const found = all.flatMap(({ finding }) => finding ?? [])
    expect(found).toMatchObject([{ code: 'torn' }])
    expect(found[0]?.place).toContain('a.jsonl:2')
    expect(all.at(-1)?.summary?.spans).toBe(1)
    expect(code).toBe(0)
  }, 120_000)

  it('finds that a file was shortened, and reads what is written anew', async () => {
    const [first] = chain()
    const [other] = chain()
    const path = await spansFolder({ 'a.jsonl': exported(first) })
    const run = await following(path)
    await run.next(isVerdict)
    await truncate(`${path}/spans/a.jsonl`)
    const { finding } = await run.next((line) => line.finding !== undefined)
    expect(finding).toMatchObject({
      code: 'unreadable',
      message: expect.stringContaining('it was shortened'),
    })
    await appendFile(`${path}/spans/a.jsonl`, exported(other))
    expect((await run.next(isVerdict)).trace_id).toBe(other.entry.labels['trace_id'])
    expect((await run.stop()).code).toBe(1)
  }, 120_000)

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'judges what is open when %s ends it',
    async (signal) => {
      const [first, second, third] = chain()
      const path = await spansFolder({
        'a.jsonl': exported(first, third),
        'b.jsonl.gz': gzipSync(exported(second)),
      })
      const run = await following(path, [])
      const { code, lines: all } = await run.stop(signal)
      expect(all).toMatchObject([{ verdict: 'verified' }, { summary: { spans: 3 } }])
      expect(code).toBe(0)
    },
    120_000,
  )

  it('K-FLEET judges the oldest early when too many are open, and says so', async () => {
    const chains = [chain(), chain(), chain()]
    const path = await spansFolder({ 'a.jsonl': chains.map(([first]) => exported(first)).join('') })
    const run = await following(path, ['--max-open', '2'])
    expect(await run.next(isVerdict)).toMatchObject({ fleet: { early: true } })
    await appendFile(`${path}/spans/a.jsonl`, exported(...(chains[0] ?? []).slice(1)))
    await run.stop()
  }, 120_000)

  it('K-FLEET says which numbers of a process are missing, withdraws it when they come, and says who is silent', async () => {
    const process = '3f2b8c1e-0000-4000-8000-000000000001'
    const [first, second, third] = [1, 2, 3].map((n) =>
      entryBy('gateway', [], { labels: { 'kest.seq': `${process}:${n}` } }),
    ) as ReturnType<typeof chain>
    const path = await spansFolder({ 'a.jsonl': exported(first, third) })
    const [workload] = Object.keys(KEYS)
    await writeFile(`${path}/roster.json`, JSON.stringify({ within_seconds: 1, workloads: [workload] }))
    const options = ['--settle', '0.2', '--max-age', '0.2', '--roster', 'roster.json']
    const run = await following(path, options)
    const gap = { code: 'sequence-gap', key: `process:${process}` }
    const said = await run.next(({ finding }) => finding?.code === 'sequence-gap')
    expect(said.finding).toMatchObject({ ...gap, message: expect.stringContaining('number 2 is missing') })
    await writeFile(`${path}/spans/b.jsonl`, exported(second))
    const withdrawn = await run.next(({ finding }) => finding?.code === 'sequence-gap')
    expect(withdrawn.finding).toEqual({ ...said.finding, withdrawn: true })
    const { code, lines: all } = await run.stop()
    expect(all.map(({ finding }) => finding?.code)).toContain('silent')
    expect(code).toBe(1)
  }, 120_000)

  it('reads a text once it has spans, and says what it does not follow', async () => {
    const [first] = chain()
    const path = await spansFolder({ notes: 'nothing yet\n', 'a.db': `SQLite format 3\0${'\0'.repeat(600)}` })
    const run = await following(path)
    const [one, two] = [await run.next((line) => line.finding !== undefined), await run.next(() => true)]
    expect([one, two].map(({ finding }) => finding?.code).sort()).toEqual(['skipped', 'unreadable'])
    await appendFile(`${path}/spans/notes`, exported(first))
    await run.next(isVerdict)
    const { code, lines: all } = await run.stop()
    expect(all.at(-1)?.summary?.spans).toBe(1)
    expect(code).toBe(1)
  }, 120_000)

  it.each([
    [['--follow'], 'which files, or folders?'],
    [['--follow', '-'], 'expected files and folders, got "-"'],
    [['--follow', 'spans', '--observed'], '--observed or --follow, not both'],
    [['--follow', 'spans', '--topic', 'a'], '--topic is for --kafka'],
    [['spans', '--settle', '3'], '--settle is for --follow and --kafka'],
    [['--follow', 'nowhere'], 'nowhere: it cannot be read: ENOENT'],
    [['--follow', '.', '--settle', '9', '--max-age', '3'], 'maxAgeMs: expected no less'],
  ] as const)('refuses %j', async (args, message) => {
    const path = await folder({ 'keys.json': KEYS })
    await expect(runWithin(audit, [...args, '--keys', `${path}/keys.json`])).rejects.toThrow(message)
  })
})
