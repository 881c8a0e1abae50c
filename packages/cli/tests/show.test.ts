import { entryHash } from '@kest/core'
import { describe, expect, it } from 'vitest'
import { type Claim, evidenceOf, signChain } from './support/evidence.js'
import { folder, kest, lines } from './support/kest.js'

const RICH: Claim = {
  by: 'hop1',
  operation: 'GET /orders/:id',
  classification: 'confidential',
  trust_score: 40,
  added_taints: ['pii', 'a, b'],
  removed_taints: ['raw'],
  taints: ['a, b', 'pii'],
  labels: {
    'kest.identity': '{"agent":"bot-1","task":null,"user":"alice"}',
    'kest.trust_override': '40',
    'kest.sanitizer': 'true',
    'kest.seq': '0:1',
  },
  policy_context: {
    enterprise_policies: ['baseline'],
    platform_policies: [],
    app_policies: [],
    function_policies: ['orders/read', 'orders/own'],
    deviations: [{ policy: 'no-pii', tier: 'platform', reason: 'migration', approver: 'sec@example.org' }],
  },
  metadata: { note: 'x' },
  content_hash: 'c'.repeat(64),
}

describe('kest show', () => {
  it('shows what an entry says, and that nothing of it is verified', async () => {
    const dir = await folder({ 'a.json': evidenceOf([RICH]) })
    const { code, stdout, stderr } = await kest(['show', 'a.json'], { cwd: dir })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const hash = entryHash(signChain([RICH])[0] as string)
    expect(stdout).toBe(
      [
        '1 entry, not verified: this is what the file says; kest verify checks it',
        '',
        `● ${hash.slice(0, 12)} GET /orders/:id (root, tip)`,
        `   entry_id    ${entryId(RICH)}`,
        '   time        2026-01-31T12:00:00.000Z',
        '   principal   spiffe://kest.test/hop1',
        `   signed      EdDSA, key ${headerOf(RICH).kid}`,
        '   class       confidential',
        '   trust       40 claimed, overridden with 40, not verified',
        '   taints      "a, b", pii',
        '               added pii, "a, b"',
        '               removed raw, as a sanitizer',
        '   identity    agent bot-1',
        '               user alice',
        '   policies    enterprise: baseline',
        '               function: orders/read, orders/own',
        '   deviations  no-pii (platform), approved by sec@example.org: migration',
        `   trace       ${'a'.repeat(32)}`,
        '   labels      kest.seq = 0:1',
        `   content     ${'c'.repeat(64)}`,
        '   metadata    {"note":"x"}',
        '   runtime     kest-test 1.0.0',
        '',
        '',
      ].join('\n'),
    )
  })

  it('draws which entry follows which', async () => {
    const [root] = signChain([{ by: 'hop1' }])
    const parents = [entryHash(root as string)]
    const [, left] = signChain([{ by: 'hop1' }, { by: 'hop2' }])
    const [, right] = signChain([{ by: 'hop1' }, { by: 'hop3', parent_ids: parents }])
    const joining = [left, right].map((jws) => entryHash(jws as string))
    const [, join] = signChain([{ by: 'hop1' }, { by: 'hop4', parent_ids: joining }])
    const dir = await folder({ 'a.json': [root, left, right, join] })
    const { code, stdout } = await kest(['show', 'a.json'], { cwd: dir })
    expect(code).toBe(0)
    const drawing = stdout
      .split('\n')
      .filter((line) => /●|[├╮╯]/.test(line))
      .map((line) => line.replace(/ [0-9a-f]{12} step-\d/, ''))
    expect(drawing).toEqual(['● (root)', '├─╮', '│ ●', '● │', '├─╯', '● (tip)'])
  })

  it('names parents that are missing, or come later', async () => {
    const [root, child] = signChain([{ by: 'hop1' }, { by: 'hop2' }])
    const dir = await folder({ 'cut.json': [child], 'reordered.json': [child, root] })
    const short = entryHash(root as string).slice(0, 12)
    const cut = await kest(['show', 'cut.json'], { cwd: dir })
    expect(cut.stdout).toContain(`parents     ${short} (not in this passport)\n`)
    expect(cut.stdout).not.toContain('(root')
    const reordered = await kest(['show', 'reordered.json'], { cwd: dir })
    expect(reordered.stdout).toContain(`parents     ${short} (comes later)\n`)
  })

  it('shows the rest when an entry cannot be read, and exits with 1', async () => {
    const [root, child] = signChain([{ by: 'hop1' }, { by: 'hop2' }])
    const dir = await folder({ 'a.json': evidenceOf([], { passport: [root, 'a.b', child] }) })
    const { code, stdout } = await kest(['show', 'a.json'], { cwd: dir })
    expect(code).toBe(1)
    expect(stdout).toContain('step-0')
    expect(stdout).toContain(`│ ✗ ${entryHash('a.b').slice(0, 12)} cannot be read`)
    expect(stdout).toContain('ERR_KEST_ENTRY_MALFORMED')
    expect(stdout).toContain('step-1')
  })

  it('is one JSON object with --json: the payloads as they were signed', async () => {
    const [root, child] = signChain([RICH, { by: 'hop2' }])
    const dir = await folder({ 'a.json': [root, 'x', child] })
    const run = await kest(['show', '--json', 'a.json'], { cwd: dir })
    expect(run.code).toBe(1)
    expect(lines(run)).toEqual([
      {
        file: 'a.json',
        verified: false,
        tips: [entryHash('x'), entryHash(child as string)],
        entries: [
          {
            index: 0,
            hash: entryHash(root as string),
            header: headerOf(RICH),
            entry: payloadOf(root as string),
          },
          {
            index: 1,
            hash: entryHash('x'),
            code: 'ERR_KEST_ENTRY_MALFORMED',
            message: expect.stringContaining('three segments'),
          },
          expect.objectContaining({ index: 2, entry: payloadOf(child as string) }),
        ],
      },
    ])
  })

  it('shows a time that no calendar has', async () => {
    const dir = await folder({ 'a.json': signChain([{ by: 'hop1', timestamp_ms: Number.MAX_SAFE_INTEGER }]) })
    const { code, stdout } = await kest(['show', 'a.json'], { cwd: dir })
    expect(code).toBe(0)
    expect(stdout).toContain('time        9007199254740991 ms\n')
  })

  it('does without a drawing that is too wide', async () => {
    const [root] = signChain([{ by: 'root' }])
    const parent_ids = [entryHash(root as string)]
    const heads = Array.from({ length: 20 }, (_, i) =>
      signChain([{ by: 'root' }, { by: `child-${i}`, parent_ids }]).at(-1),
    )
    const below = heads.map(
      (head, i) =>
        signChain([{ by: 'root' }, { by: `leaf-${i}`, parent_ids: [entryHash(head as string)] }])[1],
    )
    const dir = await folder({ 'a.json': [root, ...heads, ...below] })
    const { code, stdout } = await kest(['show', 'a.json'], { cwd: dir })
    expect(code).toBe(0)
    expect(stdout).not.toMatch(/[│├]/)
    expect(stdout.match(/^● /gm)).toHaveLength(41)
  })

  it('K-AUDIT escapes what strangers wrote, for the terminal and in JSON', async () => {
    const harm = '\u001b[2J\u009b\u202e\n● ok'
    const claim: Claim = {
      by: `urn:${harm}`,
      operation: harm,
      classification: harm,
      runtime: { name: harm, version: harm },
      added_taints: [harm],
      removed_taints: [harm],
      taints: [harm],
      labels: { [harm]: harm, 'kest.identity': JSON.stringify({ user: harm }), 'kest.trust_override': harm },
      policy_context: {
        enterprise_policies: [harm],
        platform_policies: [harm],
        app_policies: [harm],
        function_policies: [harm],
        deviations: [{ policy: harm, tier: harm, reason: harm, approver: harm }],
      },
      environment: { [harm]: harm },
      otel_context: { [harm]: harm },
      metadata: harm,
    }
    const dir = await folder({ 'a.json': signChain([claim]) })
    for (const options of [[], ['--json']]) {
      const { code, stdout } = await kest(['show', ...options, 'a.json'], { cwd: dir })
      expect(code).toBe(0)
      expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
      expect(stdout).not.toMatch(/^● ok/m)
    }
  })

  it.each([
    [[], /which file/],
    [['a.json', 'a.json'], /one file at a time/],
    [['nowhere.json'], /nowhere.json: it cannot be read: there is no such file/],
    [['object.json'], /object.json: expected a passport/],
    [['null.json'], /null.json: expected a passport/],
    [['text.json'], /text.json: it is not JSON/],
    [['numbers.json'], /numbers.json: entry 0: expected a string, got number/],
    [['--at', 'now', 'a.json'], /unknown option --at/],
  ])('exits with 2 and shows nothing: %j', async (args, message) => {
    const dir = await folder({
      'a.json': [],
      'object.json': {},
      'null.json': null,
      'text.json': 'x',
      'numbers.json': [1],
    })
    const { code, stdout, stderr } = await kest(['show', ...args], { cwd: dir })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
  })
})

function segmentOf(jws: string, position: number): string {
  return Buffer.from(jws.split('.')[position] ?? '', 'base64url').toString()
}

function headerOf(claim: Claim): { readonly kid: string } {
  return JSON.parse(segmentOf(signChain([claim])[0] as string, 0))
}

function payloadOf(jws: string): { readonly entry_id: string } {
  return JSON.parse(segmentOf(jws, 1))
}

function entryId(claim: Claim): string {
  return payloadOf(signChain([claim])[0] as string).entry_id
}
