import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { type Claims, readFiles } from '@kest/audit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AttestingAgent, startAttestingAgent } from './support/attesting-agent.js'
import { isAlive } from './support/processes.js'
import { runMain } from './support/run-main.js'

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'
const kest = join(dirname(createRequire(import.meta.url).resolve('@kest/cli/package.json')), 'bin/kest.js')

interface Mode {
  readonly args?: readonly string[]
  readonly identities: string
  /** What the evidence is verified with. */
  readonly trust: Readonly<Record<string, readonly string[]>>
  /** Address of the agent, and how to end it. */
  readonly agent?: () => Promise<AttestingAgent>
}

const principals = ['hop1', 'hop2', 'hop3'].map((hop) => `spiffe://example.org/${hop}`)
const bundles = { bundles: ['example.org'] }
const modes: Readonly<Record<string, Mode>> = {
  'the embedded authority': { identities: 'SVIDs of the embedded authority of example.org', trust: bundles },
  'local keys': {
    args: ['--local-keys'],
    identities: 'a key of its own for each service, listed by the operator',
    trust: { keys: principals },
  },
  ...(process.platform === 'linux' && {
    'an agent': {
      identities: expect.stringMatching(/^SVIDs of the agent at tcp:\/\/127/),
      trust: bundles,
      agent: () =>
        startAttestingAgent(
          ['main', 'hop1', 'hop2', 'hop3'],
          ({ command }) => /(\w+)\.js/.exec(command)?.[1],
        ),
    },
  }),
}

describe.each(Object.entries(modes))('the demonstration with identities of %s', (_, mode) => {
  let out: string
  let sockets: string
  let code: number | null
  let stdout: string
  let stderr: string
  let lines: readonly string[]

  beforeAll(async () => {
    out = mkdtempSync(join(tmpdir(), 'kest-three-hop-'))
    sockets = mkdtempSync(join(tmpdir(), 'kest-three-hop-'))
    // Settings that a reader may have, and that must not matter.
    const settings = {
      NODE_ENV: 'production',
      KEST_CONFIG: '/nonexistent/kest.yaml',
      OTEL_TRACES_SAMPLER: 'always_off',
      OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '10',
    }
    await using agent = await mode.agent?.()
    const address = agent === undefined ? {} : { SPIFFE_ENDPOINT_SOCKET: agent.address }
    const run = runMain([out, ...(mode.args ?? [])], { ...settings, ...address, TMPDIR: sockets })
    ;({ code, stdout, stderr } = await run.ended)
    lines = stdout.split('\n')
  })

  afterAll(() => {
    for (const folder of [out, sockets]) rmSync(folder, { recursive: true })
  })

  it('exits 0, with nothing to complain about', () => {
    expect(stderr).toBe('')
    expect(code).toBe(0)
  })

  it('says whose identities they are, and leaves no socket behind', () => {
    expect(/^Identities: (.*)$/m.exec(stdout)?.[1]).toEqual(mode.identities)
    expect(readdirSync(sockets)).toEqual([])
  })

  it('shows the result, alone between blank lines', () => {
    const result = {
      service: 'hop1',
      next: { service: 'hop2', next: { service: 'hop3', status: 'end_of_chain' } },
    }
    expect(stdout.split('\n\n')).toContain(JSON.stringify(result, null, 2))
  })

  it('K-ROOT shows that the internal services refuse a request without lineage', () => {
    for (const hop of ['hop2', 'hop3']) {
      expect(lines).toContain(
        `A request to ${hop}, which comes without lineage, answers 403 ERR_KEST_LINEAGE_MISSING`,
      )
    }
  })

  it('TC-07 shows a request that hop3 denies: the chain reports it, and the record has what had run', async () => {
    const problem = { status: 403, code: 'ERR_KEST_DENIED' }
    const [answer] = lines.filter((line) => line.startsWith('A request to hop1 for what is confidential'))
    expect(answer).toMatch(/ answers 403: /)
    expect(JSON.parse(answer!.slice(answer!.indexOf('{')))).toEqual({
      service: 'hop1',
      next: { service: 'hop2', next: expect.objectContaining(problem) },
    })
    expect(answer).not.toContain('trust of 80')

    expect(lines).toContain(
      'DENIED: spiffe://example.org/hop3 has signed: GET /confidential: ERR_KEST_DENIED; why, it says unsigned: hop3/confidential: what is confidential asks for a trust of 80',
    )
    const record = lines.slice(lines.indexOf('What was done of the request that hop3 denied:')).slice(4, 7)
    const [first, second] = await Promise.all(['hop1', 'hop2'].map((hop) => spanOf(hop, 'GET /confidential')))
    expect(record.map((line) => line.split('|')[1]?.trim())).toEqual([
      first?.entryId,
      second?.entryId,
      undefined,
    ])
    expect(await spanOf('hop3', 'GET /confidential')).toMatchObject({ decision: 'deny' })
    expect((await spanOf('hop3', 'GET /confidential')).signature).toBeUndefined()
  })

  it('runs each service as a process of its own, on a port of its own, and leaves none behind', () => {
    const places = [...stdout.matchAll(/^(hop\d): process (\d+), http:\/\/127\.0\.0\.1:(\d+)$/gm)]
    expect(places.map(([, name]) => name)).toEqual(['hop1', 'hop2', 'hop3'])
    expect(new Set(places.map(([, , , port]) => port)).size).toBe(3)
    expect(new Set(places.map(([, , pid]) => pid)).size).toBe(3)
    expect(places.filter(([, , pid]) => isAlive(Number(pid)))).toEqual([])
  })

  it('F-TE-01 F-TE-02 shows the audit table of what the services exported', async () => {
    const table = cellsOfTable()
    expect(table[0]).toEqual(['Service', 'Entry ID', 'Parent Hash', 'signature'])
    const spans = await Promise.all(['hop1', 'hop2', 'hop3'].map((hop) => spanOf(hop, 'GET /')))
    expect(table.slice(1)).toEqual(
      spans.map((claims, i) => {
        const hash = String(claims.parentHash)
        const signature = String(claims.signature).split('.')[2]!
        return [
          `hop${i + 1}`,
          claims.entryId,
          hash === '0' ? '0' : `${hash.slice(0, 8)}…${hash.slice(-4)}`,
          `${signature.slice(0, 8)}…${signature.slice(-4)}`,
        ]
      }),
    )
    expect(spans.slice(1).map((span) => span.parentHash)).toEqual(
      spans.slice(0, -1).map((span) => span.chainTip),
    )
    expect(
      Math.max(
        ...lines
          .slice(lines.findIndex(isHeader))
          .slice(0, 5)
          .map((line) => line.length),
      ),
    ).toBeLessThan(81)
  })

  it('says that the lineage holds, once', () => {
    expect(lines.filter((line) => line === 'SUCCESS: Distributed Merkle Lineage Verified.')).toHaveLength(1)
  })

  it('TC-02 K-TIP says of each tampering at which entry it was noticed, and why', () => {
    const [, hop2, hop3] = cellsOfTable()
      .slice(1)
      .map((row) => row[1])
    expect(lines.filter((line) => line.startsWith('FAILED'))).toEqual([
      `FAILED: a byte of hop2's entry changed: hop2's entry ${hop2}: ERR_KEST_SIGNATURE, the signature is not by a key of "spiffe://example.org/hop2"`,
      `FAILED: hop2's entry removed: hop3's entry ${hop3}: ERR_KEST_PARENT_UNKNOWN, a parent is not an earlier entry`,
      `FAILED: the tail cut off under its tip: hop3's entry ${hop3}: ERR_KEST_TIP, its tips are not those that were expected`,
    ])
  })

  it('K-X5C files evidence whose entries carry what it takes to verify them from this trust', () => {
    const { passport, trust } = readJson('evidence.json')
    const entries = (passport as string[]).map((jws) =>
      JSON.parse(Buffer.from(jws.split('.')[0]!, 'base64url').toString()),
    )
    for (const header of entries) {
      const form = 'bundles' in mode.trust ? { alg: 'ES256', x5c: [expect.any(String)] } : { alg: 'EdDSA' }
      expect(header).toMatchObject(form)
    }
    for (const document of [trust as object, readJson('trust.json')]) {
      const names = Object.entries(document).map(([kind, material]) => [
        kind,
        Object.keys(material as object),
      ])
      expect(Object.fromEntries(names)).toEqual(mode.trust)
    }
  })

  it('K-ANCHOR files evidence that kest verifies against the operator’s trust', async () => {
    const files = [join(out, 'evidence.json'), '--trust', join(out, 'trust.json')]
    const verified = await promisify(execFile)(process.execPath, [kest, 'verify', '--json', ...files])
    expect(JSON.parse(verified.stdout)).toMatchObject({
      ok: true,
      anchored: true,
      entries: 3,
      principals,
      trust_score: 40,
      taints: [],
      findings: [],
    })
  })

  it('NF-SEC-01 writes no private key', () => {
    for (const file of readdirSync(out, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue
      expect(readFileSync(join(file.parentPath, file.name), 'utf8'), file.name).not.toMatch(/"d":|PRIVATE/)
    }
  })

  function readJson(file: string): Record<string, unknown> {
    return JSON.parse(readFileSync(join(out, file), 'utf8'))
  }

  function isHeader(line: string): boolean {
    return line.startsWith('Service')
  }

  /** Header and rows. */
  function cellsOfTable(): string[][] {
    const [header, rule, ...rows] = lines.slice(lines.findIndex(isHeader)).slice(0, 5)
    expect(rule).toMatch(/^[-+]+$/)
    const cells = [header!, ...rows].map((line) => line.split('|').map((cell) => cell.trim()))
    expect(cells.slice(1).map((row) => row[1])).toEqual(Array(3).fill(expect.stringMatching(`^${UUID}$`)))
    return cells
  }

  /** The one span that a service has exported of an operation. */
  async function spanOf(hop: string, operation: string): Promise<Claims> {
    const spans: Claims[] = []
    for await (const batch of readFiles([join(out, `${hop}.spans`)])) {
      expect(batch.findings).toEqual([])
      for (const { service, claims } of batch.spans) {
        expect(service).toBe(hop)
        if (claims.operation === operation) spans.push(claims)
      }
    }
    expect(spans).toHaveLength(1)
    return spans[0]!
  }
})

it.each(['hop1', 'hop2', 'hop3'])('the program of %s speaks of no header', (hop) => {
  const source = readFileSync(new URL(`../src/${hop}.ts`, import.meta.url), 'utf8')
  expect(source).not.toMatch(/header|baggage/i)
})
