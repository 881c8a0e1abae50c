import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { folder, kest, lines } from './support/kest.js'
import { chain, entryBy, exported, KEYS } from './support/spans.js'

describe('kest evidence', () => {
  it('writes what kest verify verifies against keys of its own', async () => {
    const [first, second, third] = chain()
    const path = await folder({
      'keys.json': KEYS,
      'trust.json': { keys: KEYS },
      'spans.jsonl': exported(third, second, first),
    })
    const made = await kest(['evidence', 'spans.jsonl', '--keys', 'keys.json', '-o', 'evidence.json'], {
      cwd: path,
    })
    expect(made).toMatchObject({ code: 0, stdout: '', stderr: '' })
    const evidence = JSON.parse(await readFile(`${path}/evidence.json`, 'utf8')) as Record<string, unknown>
    expect(evidence).toMatchObject({ passport: [first.jws, second.jws, third.jws], tip: third.hash })
    const run = await kest(['verify', 'evidence.json', '--trust', 'trust.json', '--json'], { cwd: path })
    expect(lines(run)).toMatchObject([{ ok: true, anchored: true, entries: 3, tips: [third.hash] }])
  })

  it('takes the keys of those who signed, and no others', async () => {
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(entryBy('gateway', [])) })
    const run = await kest(['evidence', 'spans.jsonl', '--keys', 'keys.json'], { cwd: path })
    const { trust } = JSON.parse(run.stdout) as { trust: { keys: object } }
    expect(Object.keys(trust.keys)).toEqual(['spiffe://kest.test/gateway'])
  })

  it('writes nothing of what is not verified, and the part that is when it is asked for', async () => {
    const [first, second] = chain()
    const path = await folder({
      'keys.json': KEYS,
      'spans.jsonl': exported(first, second, entryBy('stranger', [second])),
    })
    const refused = await kest(['evidence', 'spans.jsonl', '--keys', 'keys.json', '-o', 'evidence.json'], {
      cwd: path,
    })
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toContain('principal-unknown')
    await expect(readFile(`${path}/evidence.json`)).rejects.toMatchObject({ code: 'ENOENT' })
    const part = await kest(['evidence', 'spans.jsonl', '--keys', 'keys.json', '--tip', second.hash], {
      cwd: path,
    })
    expect(JSON.parse(part.stdout)).toMatchObject({ passport: [first.jws, second.jws], tip: second.hash })
  })

  it('writes nothing when some of the trace may be in what cannot be read, but a part that is asked for', async () => {
    const [first, second, third] = chain()
    const path = await folder({
      'keys.json': KEYS,
      'spans.jsonl': `${exported(first, second, third)}{"resourceSpans": [7]}\n`,
    })
    const refused = await kest(['evidence', 'spans.jsonl', '--keys', 'keys.json'], { cwd: path })
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toMatch(/unreadable.*spans\.jsonl:\d+/)
    const part = await kest(['evidence', 'spans.jsonl', '--keys', 'keys.json', '--tip', second.hash], {
      cwd: path,
    })
    expect(JSON.parse(part.stdout)).toMatchObject({ passport: [first.jws, second.jws] })
  })

  it.each([
    { args: ['--trace', 'a'.repeat(32)], why: `there is no trace ${'a'.repeat(32)}` },
    { args: [], why: 'which trace? there are several' },
    { args: ['--trace', 'x'], why: '--trace: expected 32 hex digits' },
    { args: ['--tip', 'x'], why: '--tip: expected an entry hash' },
    {
      args: ['-o', 'x.html'],
      why: 'evidence is JSON; of evidence in case.json, kest graph case.json -o x.html',
    },
  ])('says what is wrong: $why', async ({ args, why }) => {
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(...chain(), ...chain()) })
    const run = await kest(['evidence', 'spans.jsonl', '--keys', 'keys.json', ...args], { cwd: path })
    expect(run.code).toBe(2)
    expect(run.stderr).toContain(why)
  })
})
