import { readFile } from 'node:fs/promises'
import type { KestDenial } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'
import { describe, expect, it } from 'vitest'
import { type MadeDenial, makeDenial, signedDenialOf } from '../../audit/dist/testing/make-denial.js'
import type { MadeEntry } from '../../audit/dist/testing/make-entry.js'
import { otlpLine } from '../../audit/dist/testing/make-span.js'
import { folder, kest, lines } from './support/kest.js'
import { chain, exported, KEYS } from './support/spans.js'

const PRINCIPAL = 'spiffe://kest.test/payments'

function refusal(parents: readonly MadeEntry[], claim: Partial<KestDenial> = {}): MadeDenial {
  const signer = new MockIdentityProvider('payments').current()
  return makeDenial(signer, parents, { operation: 'payments.refund', ...claim })
}

function exportedDenials(...made: readonly MadeDenial[]): string {
  return made.map((one) => `${otlpLine('payments', [signedDenialOf(one)])}\n`).join('')
}

/** Spans of two services, and of a third that has refused. */
async function spans(claim: Partial<KestDenial> = {}) {
  const [first, second] = chain()
  const made = refusal([second], claim)
  const path = await folder({
    'keys.json': KEYS,
    'trust.json': { keys: KEYS },
    'spans.jsonl': exported(first, second) + exportedDenials(made),
  })
  return { path, made, first, second }
}

describe('K-DENIAL kest', () => {
  it('K-DENIAL audit says what was refused, as it is signed', async () => {
    const { path, made, second } = await spans({ unsigned: 1_200 })
    const args = ['audit', 'spans.jsonl', '--keys', 'keys.json']
    const text = await kest(args, { cwd: path })
    expect(text.stdout).toContain(
      `refused, as is signed: payments.refund, by ${PRINCIPAL}, ERR_KEST_DENIED, 1,200 before it not signed`,
    )
    const [trace] = lines(await kest([...args, '--json'], { cwd: path }))
    expect(trace).toMatchObject({
      verdict: 'verified',
      denials: [
        {
          signed: true,
          operation: 'payments.refund',
          workload_id: PRINCIPAL,
          policies: ['orders/read'],
          parents: [second.hash],
          unsigned: 1_200,
          denial: made.jws,
        },
      ],
    })
  })

  it('K-DENIAL graph draws it below what it built on, as something other than an entry and than a report', async () => {
    const { path } = await spans()
    const draw = async (format: string): Promise<string> =>
      (await kest(['graph', 'spans.jsonl', '--keys', 'keys.json', '-f', format], { cwd: path })).stdout
    const dot = await draw('dot')
    expect(dot).toMatch(/n2 \[label="[^"]*\\npayments\.refund\\nrefused, as is signed\\nERR_KEST_DENIED/)
    expect(dot.match(/^ {2}n\d+ -> n\d+/gm)).toEqual(['  n0 -> n1', '  n1 -> n2'])
    expect(await draw('mermaid')).toContain(':::refused')
    expect(await draw('svg')).not.toContain('class="edge claimed"')
    const html = await draw('html')
    expect(html).toContain('signed by who refused it')
    expect(html).not.toContain('a report, never evidence')
  })

  it('K-DENIAL evidence has it beside the passport; verify checks it, show and graph show it', async () => {
    const { path, made, first, second } = await spans()
    const written = ['evidence', 'spans.jsonl', '--keys', 'keys.json', '-o', 'evidence.json']
    expect(await kest(written, { cwd: path })).toMatchObject({ code: 0, stderr: '' })
    const evidence = JSON.parse(await readFile(`${path}/evidence.json`, 'utf8')) as Record<string, unknown>
    expect(evidence).toMatchObject({ passport: [first.jws, second.jws], denials: [made.jws] })
    const without = await kest(['evidence', 'spans.jsonl', '--keys', 'keys.json', '--without-denials'], {
      cwd: path,
    })
    expect(JSON.parse(without.stdout)).not.toHaveProperty('denials')
    const verify = ['verify', 'evidence.json', '--trust', 'trust.json']
    expect(lines(await kest([...verify, '--json'], { cwd: path }))).toMatchObject([
      { ok: true, anchored: true, entries: 2, denials: [made.denial] },
    ])
    const verified = await kest(verify, { cwd: path })
    expect(verified.stdout).toMatch(/refused +payments\.refund, by spiffe:\/\/kest\.test\/payments/)
    const shown = await kest(['show', 'evidence.json'], { cwd: path })
    expect(shown).toMatchObject({ code: 0 })
    expect(shown.stdout).toMatch(/1 denial, in no passport:\n\n– payments\.refund \(refused\)/)
    expect(lines(await kest(['show', 'evidence.json', '--json'], { cwd: path }))).toMatchObject([
      { verified: false, denials: [{ denial: made.denial }] },
    ])
    const graph = ['graph', 'evidence.json', '--trust', 'trust.json', '-f', 'dot']
    expect((await kest(graph, { cwd: path })).stdout).toContain('refused, as is signed')
  })

  it('K-DENIAL of what an edge refused evidence has nothing else', async () => {
    const made = refusal([])
    const path = await folder({
      'keys.json': KEYS,
      'trust.json': { keys: KEYS },
      'spans.jsonl': exportedDenials(made),
    })
    const written = ['evidence', 'spans.jsonl', '--keys', 'keys.json', '-o', 'evidence.json']
    expect(await kest(written, { cwd: path })).toMatchObject({ code: 0 })
    const verify = ['verify', 'evidence.json', '--trust', 'trust.json', '--json']
    expect(lines(await kest(verify, { cwd: path }))).toMatchObject([
      { ok: true, entries: 0, denials: [made.denial] },
    ])
    const drawn = await kest(['graph', 'evidence.json', '-f', 'dot'], { cwd: path })
    expect(drawn.stdout).toContain('denials without a trace')
  })

  it('K-DENIAL takes none for an entry, wherever it stands', async () => {
    const { made, first } = await spans()
    const trust = { keys: KEYS }
    const evidence = { format: 'kest-evidence-1', passport: [first.jws, made.jws], trust }
    const path = await folder({
      'passport.json': [made.jws],
      'evidence.json': evidence,
      'swapped.json': { ...evidence, passport: [first.jws], denials: [first.jws] },
      'keys.json': KEYS,
    })
    expect(await kest(['show', 'passport.json'], { cwd: path })).toMatchObject({ code: 1 })
    const run = await kest(['verify', 'evidence.json', 'swapped.json', '--json'], { cwd: path })
    expect(run.code).toBe(1)
    expect(lines(run)).toMatchObject([
      { ok: false, code: 'ERR_KEST_ENTRY_HEADER', index: 1 },
      { ok: false, code: 'ERR_KEST_ENTRY_HEADER' },
    ])
    expect((await kest(['show', 'swapped.json'], { cwd: path })).stdout).toContain('cannot be read')
  })
})
