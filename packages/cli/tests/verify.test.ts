import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { entryHash } from '@kest/core'
import { beforeEach, describe, expect, it } from 'vitest'
import { evidenceOf, signChain, trustOf } from './support/evidence.js'
import { BINARY, folder, kest, lines } from './support/kest.js'

const GOOD = evidenceOf([{ by: 'hop1' }, { by: 'hop2' }])
const CHAIN = signChain([{ by: 'hop1' }, { by: 'hop2' }])
const TIP = entryHash(CHAIN[1] as string)
const REFUSED = { format: 'kest-evidence-1', passport: CHAIN, trust: trustOf('hop1') }
/** Trust that the lineage does not give. */
const RAISED = [
  { by: 'hop1', trust_score: 40 },
  { by: 'hop2', trust_score: 90 },
]
/** The same, with the label that lets whoever may raise do so. */
const OVERRIDDEN = [RAISED[0], { ...RAISED[1], labels: { 'kest.trust_override': '90' } }] as typeof RAISED

let dir: string
beforeEach(async () => {
  dir = await folder({
    'good.json': GOOD,
    'refused.json': REFUSED,
    'trust.json': trustOf('hop1', 'hop2'),
    'other.json': {
      keys: { ...trustOf('hop1').keys, 'spiffe://kest.test/hop2': trustOf('x').keys['spiffe://kest.test/x'] },
    },
    'raised.json': evidenceOf(RAISED),
    'raised-enforced.json': evidenceOf(RAISED, { semantics: 'enforce' }),
    'overridden.json': evidenceOf(OVERRIDDEN),
    'fixed.json': { ...GOOD, at: '2026-01-31T12:00:00Z' },
    'empty.json': '',
    'text.json': 'hello',
    'other-format.json': { ...GOOD, format: 'kest-evidence-2' },
    'latin1.json': Buffer.from([0x22, 0xe9, 0x22]),
  })
})

const run = (...args: string[]): ReturnType<typeof kest> => kest(['verify', ...args], { cwd: dir })

describe('kest verify --roots', () => {
  const hop1 = { workload: 'spiffe://kest.test/hop1', ceiling: 30 }
  const files = async (content: Readonly<Record<string, unknown>>) => {
    const path = await folder({ 'good.json': GOOD, 'trust.json': trustOf('hop1', 'hop2'), ...content })
    return (...args: string[]) =>
      kest(['verify', 'good.json', '--trust', 'trust.json', ...args], { cwd: path })
  }

  it('K-ROOTS takes who may begin lineage from a deployment file, or from a list alone', async () => {
    const deployment = `policies: {}\nroots: [{ workload: ${hop1.workload}, ceiling: 30 }]\n`
    const check = await files({ 'kest.yaml': Buffer.from(deployment), 'roots.json': { roots: [hop1] } })
    for (const name of ['kest.yaml', 'roots.json'])
      expect(lines(await check('--json', '--roots', name))).toMatchObject([
        { ok: true, trust_score: 30, taints: [], findings: [] },
      ])
  })

  it('K-ROOTS finds what others began, and refuses it where semantics are enforced', async () => {
    const check = await files({ 'nobody.json': { roots: [] } })
    const found = [{ kind: 'unlisted-root', code: 'ERR_KEST_ROOT', index: 0 }]
    expect(lines(await check('--json', '--roots', 'nobody.json'))).toMatchObject([
      { ok: true, trust_score: 0, taints: ['kest.unlisted-root'], findings: found },
    ])
    const enforced = await check('--json', '--roots', 'nobody.json', '--semantics', 'enforce')
    expect(enforced.code).toBe(1)
    expect(lines(enforced)).toMatchObject([{ ok: false, code: 'ERR_KEST_ROOT', index: 0 }])
  })

  it.each([
    ['a file that lists none', { policies: {} }, /roots: expected a list/],
    ['another document', { edges: [] }, /unknown key "edges"/],
    ['a root that is wrong', { roots: [{ ...hop1, ceiling: 101 }] }, /roots\[0\]\.ceiling/],
  ])('K-ROOTS verifies nothing with %s', async (_, roots, why) => {
    const { code, stdout, stderr } = await (await files({ 'roots.json': roots }))('--roots', 'roots.json')
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(why)
  })

  it('names the file of roots that it cannot read', async () => {
    const { code, stderr } = await (await files({}))('--roots', 'nowhere.yaml')
    expect(code).toBe(2)
    expect(stderr).toBe('kest: --roots nowhere.yaml: it cannot be read: there is no such file\n')
  })

  it('K-SWITCH takes another identity from who is named, and is a finding otherwise', async () => {
    const says = (user: string) => JSON.stringify({ agent: null, task: null, user })
    const stated = { 'kest.identity': says('admin'), 'kest.identity_stated': 'true' }
    const switched = evidenceOf([
      { by: 'hop1', labels: { 'kest.identity': says('alice') } },
      { by: 'hop2', labels: stated },
    ])
    const check = await files({ 'good.json': switched })
    expect(lines(await check('--json'))).toMatchObject([
      { taints: ['kest.identity-switched'], findings: [{ kind: 'identity-switched', index: 1 }] },
    ])
    const named = await check('--json', '--identity-authorities', 'spiffe://kest.test/hop2')
    expect(lines(named)).toMatchObject([{ taints: [], findings: [] }])
    expect((await check('--identity-authorities', '')).code).toBe(2)
  })
})

describe('kest verify', () => {
  it('K-ANCHOR calls a passport consistent with its own keys when the keys are those of the file', async () => {
    const { code, stdout } = await run('good.json')
    expect(code).toBe(0)
    expect(stdout).toContain('good.json: consistent with its own keys\n')
    expect(stdout).not.toContain('verified')
    expect(lines(await run('--json', 'good.json'))).toEqual([
      {
        file: 'good.json',
        ok: true,
        anchored: false,
        entries: 2,
        tips: [TIP],
        principals: ['spiffe://kest.test/hop1', 'spiffe://kest.test/hop2'],
        trust_score: 100,
        taints: [],
        findings: [],
      },
    ])
  })

  it('K-ANCHOR calls it verified when the keys are those of --trust', async () => {
    const { code, stdout } = await run('good.json', '--trust', 'trust.json')
    expect(code).toBe(0)
    expect(stdout).toContain('good.json: verified\n')
    expect(lines(await run('--json', '--trust=trust.json', 'good.json'))).toMatchObject([
      { ok: true, anchored: true },
    ])
  })

  it('K-ANCHOR lets --trust replace the keys of the file, never add to them', async () => {
    const json = lines(await run('--json', '--trust', 'other.json', 'good.json'))
    expect(json).toMatchObject([{ ok: false, code: 'ERR_KEST_SIGNATURE', index: 1 }])
    expect(lines(await run('--json', '--trust', 'trust.json', 'refused.json'))).toMatchObject([{ ok: true }])
  })

  it('says which entry does not hold, and why', async () => {
    const { code, stdout } = await run('refused.json')
    expect(code).toBe(1)
    expect(stdout).toContain('refused.json: does not hold\n')
    expect(stdout).toContain('entry 1: no key is known for "spiffe://kest.test/hop2"')
    expect(stdout).toContain('ERR_KEST_KEY_UNKNOWN')
    expect(lines(await run('--json', 'refused.json'))).toEqual([
      {
        file: 'refused.json',
        ok: false,
        code: 'ERR_KEST_KEY_UNKNOWN',
        index: 1,
        entry_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        message: expect.stringContaining('no key is known'),
      },
    ])
  })

  it('judges each of several files and answers with the gravest', async () => {
    const mixed = await run('good.json', 'refused.json', 'good.json')
    expect(mixed.code).toBe(1)
    expect(mixed.stdout).toMatch(/3 files: 2 consistent with their own keys, 1 does not hold\n$/)
    const worst = await run('--json', 'nowhere.json', 'refused.json', 'good.json')
    expect(worst.code).toBe(2)
    expect(lines(worst).map(({ file, ok }) => [file, ok])).toEqual([
      ['nowhere.json', false],
      ['refused.json', false],
      ['good.json', true],
    ])
  })

  it.each([
    ['nowhere.json', /there is no such file/],
    ['empty.json', /not JSON/],
    ['text.json', /not JSON/],
    ['latin1.json', /it is not UTF-8/],
    ['other-format.json', /format: expected "kest-evidence-1"/],
    ['trust.json', /format: expected/],
  ])('exits with 2 for what is no evidence: %s', async (file, message) => {
    const human = await run(file)
    expect(human).toMatchObject({ code: 2, stderr: '' })
    expect(human.stdout).toMatch(/: not usable\n/)
    const json = await run('--json', file)
    expect(json).toMatchObject({ code: 2, stderr: '' })
    expect(lines(json)).toEqual([
      {
        file,
        ok: false,
        code: 'ERR_KEST_EVIDENCE',
        index: null,
        entry_id: null,
        message: expect.stringMatching(message),
      },
    ])
  })

  it('K-LIMIT reads no more of a file than evidence can have', async () => {
    const huge = await folder({ 'huge.json': Buffer.alloc(5 * 1024 * 1024, 0x20) })
    const json = await run('--json', join(huge, 'huge.json'))
    expect(json.code).toBe(2)
    expect(lines(json)).toMatchObject([{ ok: false, code: 'ERR_KEST_LIMIT', index: null }])
  })

  it.runIf(existsSync('/dev/zero'))('K-LIMIT comes to an end with a file that has none', async () => {
    expect(lines(await run('--json', '/dev/zero'))).toMatchObject([{ ok: false, code: 'ERR_KEST_EVIDENCE' }])
  })

  it('K-LIMIT refuses a passport of too many entries', async () => {
    const long = await folder({ 'long.json': { ...GOOD, passport: Array(257).fill('a.b.c') } })
    const json = await run('--json', join(long, 'long.json'))
    expect(json.code).toBe(1)
    expect(lines(json)).toMatchObject([{ ok: false, code: 'ERR_KEST_LIMIT', index: null }])
  })

  it('reads standard input', async () => {
    const json = await kest(['verify', '--json', '-'], { stdin: JSON.stringify(GOOD) })
    expect(lines(json)).toMatchObject([{ file: '-', ok: true, entries: 2 }])
    const human = await kest(['verify', '-'], { stdin: '' })
    expect(human.code).toBe(2)
    expect(human.stdout).toMatch(/^standard input: not usable\n/)
  })

  it('reads trust from standard input, but standard input only once', async () => {
    const trust = JSON.stringify(trustOf('hop1', 'hop2'))
    const once = await kest(['verify', '--json', '--trust', '-', 'good.json'], { cwd: dir, stdin: trust })
    expect(lines(once)).toMatchObject([{ ok: true, anchored: true }])
    const twice = await kest(['verify', '--trust', '-', '-'], { stdin: trust })
    expect(twice).toMatchObject({ code: 2, stdout: '' })
    expect(twice.stderr).toContain('standard input can be read once')
  })
})

describe('kest verify --semantics', () => {
  it('K-SEM lists what the lineage does not bear out, and trusts the lineage', async () => {
    const json = await run('--json', 'raised.json')
    expect(json.code).toBe(0)
    expect(lines(json)).toMatchObject([
      {
        ok: true,
        trust_score: 40,
        findings: [
          {
            code: 'ERR_KEST_TRUST_RAISED',
            index: 1,
            entry_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
            message: expect.stringContaining('claims trust 90'),
          },
        ],
      },
    ])
    expect((await run('raised.json')).stdout).toMatch(
      /finding +entry 1: claims trust 90; .* ERR_KEST_TRUST_RAISED/,
    )
  })

  it('K-SEM refuses it at its entry with enforce', async () => {
    const json = await run('--json', '--semantics', 'enforce', 'raised.json')
    expect(json.code).toBe(1)
    expect(lines(json)).toMatchObject([{ ok: false, code: 'ERR_KEST_TRUST_RAISED', index: 1 }])
  })

  it('K-ANCHOR does not loosen a file that asks for enforce', async () => {
    const json = await run('--json', '--semantics', 'report', 'raised-enforced.json')
    expect(lines(json)).toMatchObject([{ ok: false, code: 'ERR_KEST_TRUST_RAISED' }])
  })
})

describe('kest verify --raisers', () => {
  it.each([
    [[], 90],
    [['--raisers', 'spiffe://kest.test/hop2'], 90],
    [['--raisers', 'spiffe://kest.test/hop1,spiffe://kest.test/hop2'], 90],
    [['--raisers', 'spiffe://kest.test/hop1', '--raisers', 'spiffe://kest.test/hop2'], 90],
    [['--raisers', 'spiffe://kest.test/hop1'], 40],
    [['--raisers', ''], 40],
  ])('K-EFF counts a raise only by those who may: %j gives %d', async (options, trust) => {
    const [verdict] = lines(await run('--json', ...options, 'overridden.json'))
    expect(verdict).toMatchObject({ ok: true, trust_score: trust })
    expect(verdict?.['findings']).toHaveLength(trust === 90 ? 0 : 1)
  })
})

describe('kest verify --at', () => {
  it.each(['entry', 'now', '2026-01-31T12:00:00Z'])('K-TIME takes %s', async (at) => {
    const { code, stdout } = await run('--at', at, 'good.json')
    expect(code).toBe(0)
    expect(stdout).toMatch(at === 'entry' ? /times +self-asserted/ : /times .*fixed time/)
  })

  it('K-TIME keeps to the time that a file fixes', async () => {
    for (const at of ['entry', '2026-01-31T13:00:00+01:00']) {
      const { code, stdout } = await run('--at', at, 'fixed.json')
      expect(code).toBe(0)
      expect(stdout).toMatch(/times .*fixed time/)
    }
  })

  it('K-ANCHOR does not judge such a file at another time instead', async () => {
    const json = await run('--json', '--at', 'now', 'fixed.json', 'good.json')
    expect(json.code).toBe(2)
    expect(lines(json)).toMatchObject([
      { ok: false, code: 'ERR_KEST_CONFIG', message: expect.stringContaining('2026-01-31T12:00:00.000Z') },
      { ok: true },
    ])
  })
})

describe('kest verify, used wrongly', () => {
  it.each([
    [[], /which file/],
    [['--jsn', 'good.json'], /unknown option --jsn; did you mean --json\?/],
    [
      ['--semantics', 'enfroce', 'good.json'],
      /expected report or enforce, got "enfroce"; did you mean enforce\?/,
    ],
    [['--at', 'yesterday', 'good.json'], /--at: expected entry, now or a time/],
    [['--at', '2026-02-30T00:00:00Z', 'good.json'], /--at: expected/],
    [['--at', 'now', '--at', 'entry', 'good.json'], /--at is given twice/],
    [['--trust', 'trust.json', '--trust', 'trust.json', 'good.json'], /the principal \S+ is given twice/],
    [
      ['--trust', 'nowhere.json', 'good.json'],
      /--trust nowhere.json: it cannot be read: there is no such file/,
    ],
    [['--trust', 'text.json', 'good.json'], /--trust text.json: it is not JSON/],
    [['--trust', 'good.json', 'good.json'], /of an evidence file, its "trust" member/],
  ])('exits with 2 and judges nothing: %j', async (args, message) => {
    const { code, stdout, stderr } = await run(...args)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^kest: /)
    expect(stderr).toMatch(message)
  })

  it.each([
    ['an array', []],
    ['nothing', {}],
    ['a SPIFFE bundle', { keys: [], spiffe_sequence: 1 }],
    ['keys that are none', { keys: { a: [{ kty: 'OKP' }] } }],
    ['keys without their principal', { keys: { '': [] } }],
    ['a private key', { keys: { a: [{ kty: 'oct', k: 'c2VjcmV0' }] } }],
  ])('exits with 2 when --trust holds %s', async (_name, trust) => {
    const path = await folder({ 'trust.json': trust })
    const { code, stdout, stderr } = await run('--trust', join(path, 'trust.json'), 'good.json')
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('trust.json: ')
    expect(stderr).not.toContain('c2VjcmV0')
    expect(stderr).not.toContain('mistake in kest')
  })

  it('exits with 2 for keys of the file that cannot be used', async () => {
    const path = await folder({
      'a.json': { ...GOOD, trust: { keys: { a: [{ kty: 'OKP', d: 'c2VjcmV0' }] } } },
    })
    const json = await run('--json', join(path, 'a.json'))
    expect(json.code).toBe(2)
    expect(lines(json)).toMatchObject([{ ok: false, code: 'ERR_KEST_EVIDENCE', index: null }])
    expect(json.stdout).not.toContain('c2VjcmV0')
  })
})

describe('what kest verify prints', () => {
  const HARM = '\u001b]0;pwned\u0007\u001b[2K\u009b31m\u202e\u2066\r\nok.json: verified'

  it('K-AUDIT escapes what strangers wrote, for the terminal and in JSON', async () => {
    const file = 'a\u001b[31m\u202e.json'
    const path = await folder({
      [file]: evidenceOf(
        [
          { by: `urn:${HARM}`, operation: HARM, added_taints: [HARM], taints: [HARM] },
          { by: 'hop2', trust_score: 100 },
        ],
        {},
      ),
      'unknown.json': { ...evidenceOf([{ by: `urn:${HARM}` }]), trust: {} },
    })
    for (const options of [[], ['--json']]) {
      const { stdout, code } = await kest(['verify', ...options, file, 'unknown.json'], { cwd: path })
      expect(code).toBe(1)
      expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
      expect(stdout).not.toMatch(/^ok\.json/m)
    }
    expect(lines(await kest(['verify', '--json', file], { cwd: path }))).toMatchObject([
      { file, ok: true, principals: [`urn:${HARM}`, 'spiffe://kest.test/hop2'], taints: [HARM] },
    ])
  })

  it('K-AUDIT escapes it on standard error, too', async () => {
    const { stderr } = await run(`--${HARM}`, 'good.json')
    expect(stderr.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(stderr).toMatch(/^kest: unknown option --/)
  })

  it('has colours only where they are wanted', async () => {
    const plain = await kest(['verify', 'good.json'], { cwd: dir })
    const forced = await kest(['verify', 'good.json'], { cwd: dir, env: { FORCE_COLOR: '1' } })
    const json = await kest(['verify', '--json', 'good.json'], { cwd: dir, env: { FORCE_COLOR: '1' } })
    expect(plain.stdout).not.toContain('\u001b')
    expect(forced.stdout).toContain('\u001b[33mconsistent with its own keys\u001b[39m')
    expect(json.stdout).not.toContain('\u001b')
  })

  it('keeps its answer when nobody reads any more', async () => {
    const files = Array<string>(400).fill('refused.json')
    const child = spawn(process.execPath, [BINARY, 'verify', ...files], { cwd: dir })
    const closed = once(child, 'close')
    child.stdout.once('data', () => child.stdout.destroy())
    expect(await text(child.stderr)).toBe('')
    await closed
    expect(child.exitCode).toBe(1)
  })

  it.runIf(existsSync('/dev/full'))('exits with 2 when its answer cannot be written', async () => {
    const full = openSync('/dev/full', 'w')
    try {
      const child = spawn(process.execPath, [BINARY, 'verify', 'good.json'], {
        cwd: dir,
        stdio: ['ignore', full, 'pipe'],
      })
      const closed = once(child, 'close')
      expect(await text(child.stderr as NonNullable<typeof child.stderr>)).toMatch(/^kest: standard output: /)
      await closed
      expect(child.exitCode).toBe(2)
    } finally {
      closeSync(full)
    }
  })
})
