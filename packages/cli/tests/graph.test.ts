import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { denialOf, otlpLine, spanOf } from '../../audit/dist/testing/make-span.js'
import { folder, kest } from './support/kest.js'
import { chain, entryBy, exported, KEYS } from './support/spans.js'

/** What breaks out of every format, where it is not escaped. */
const HOSTILE = `"]; </title><script>alert(1)</script> --> \\" \u001b[31m & 'x' #quot; \u202e`

describe('kest graph', () => {
  it('F-TE-04 draws the lineage of a trace in Mermaid', async () => {
    const [first, second, third] = chain()
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(first, second, third) })
    const run = await kest(['graph', 'spans.jsonl', '--keys', 'keys.json'], { cwd: path })
    expect(run.code).toBe(0)
    expect(run.stdout.split('\n').slice(0, 8)).toEqual([
      'flowchart TD',
      `  subgraph lineage["trace ${first.entry.labels['trace_id']}: verified"]`,
      '  n0["gateway<br/>GET /orders/:id<br/>trust 40, verified<br/>policies: orders/read"]:::verified',
      expect.stringContaining('  n1["orders<br/>'),
      expect.stringContaining('  n2["payments<br/>'),
      '  n0 --> n1',
      '  n1 --> n2',
      '  end',
    ])
  })

  it('shows what does not hold, and what was never exported', async () => {
    const [first, second, third] = chain()
    const path = await folder({
      'keys.json': KEYS,
      'spans.jsonl': exported(first, third, entryBy('stranger', [first])),
    })
    const run = await kest(['graph', 'spans.jsonl', '--keys', 'keys.json', '-f', 'dot'], { cwd: path })
    expect(run.stdout).toContain('never exported')
    expect(run.stdout).toContain(second.hash.slice(0, 12))
    expect(run.stdout).toContain('does not hold')
  })

  it("draws evidence: verified with keys of one's own, else consistent with its own (K-ANCHOR)", async () => {
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(...chain()) })
    await kest(['evidence', 'spans.jsonl', '--keys', 'keys.json', '-o', 'evidence.json'], { cwd: path })
    const own = await kest(['graph', 'evidence.json', '-f', 'dot'], { cwd: path })
    expect(own.stdout).toMatch(/label="trace [0-9a-f]{32}: consistent with its own keys"/)
    expect(own.stdout).toContain('trust 40, consistent with its keys')
    const anchored = await kest(['graph', 'evidence.json', '-f', 'dot', '--keys', 'keys.json'], { cwd: path })
    expect(anchored.stdout).toMatch(/label="trace [0-9a-f]{32}: verified"/)
  })

  it.each(['mermaid', 'dot', 'svg', 'html'])(
    'K-ANCHOR says where all can see it that evidence is only consistent with its own keys, and paints nothing green: %s',
    async (format) => {
      const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(...chain()) })
      await kest(['evidence', 'spans.jsonl', '--keys', 'keys.json', '-o', 'evidence.json'], { cwd: path })
      const { stdout } = await kest(['graph', 'evidence.json', '-f', format], { cwd: path })
      const shown = stdout.replace(/<style>.*?<\/style>|<script.*?<\/script>|<[^>]*>/gs, ' ')
      expect(shown).toContain('consistent with its own keys')
      expect(shown).not.toMatch(/verified|#e6f4ea/)
      expect(stdout).not.toContain('class="node verified"')
    },
  )

  it('draws a tip that is claimed and did not come', async () => {
    const [first, second] = chain()
    const claim = spanOf(second)
    delete claim.attributes['kest.signature']
    const path = await folder({
      'keys.json': KEYS,
      'spans.jsonl': `${exported(first)}${otlpLine('orders', [claim])}\n`,
    })
    const { stdout } = await kest(['graph', 'spans.jsonl', '--keys', 'keys.json', '-f', 'dot'], { cwd: path })
    expect(stdout).toMatch(
      new RegExp(`^ {2}n1 \\[label="${second.hash.slice(0, 12)}\\\\nnever exported"`, 'm'),
    )
    expect(stdout).toContain(': incomplete"')
  })

  it('K-AUDIT draws what was denied below what its span names, as a claim that is no evidence, and nothing for names that are not there', async () => {
    const [first, second] = chain()
    const span = denialOf(entryBy('payments', [first, second], { operation: 'payments.refund' }))
    const path = await folder({
      'keys.json': KEYS,
      'spans.jsonl': `${exported(first)}${otlpLine('payments', [span])}\n`,
    })
    const draw = async (format: string): Promise<string> =>
      (await kest(['graph', 'spans.jsonl', '--keys', 'keys.json', '-f', format], { cwd: path })).stdout
    const dot = await draw('dot')
    expect(dot).toMatch(/n1 \[label="[^"]*\\npayments\.refund\\ndenied, as an unsigned span says/)
    expect(dot.match(/^ {2}n\d+ -> n\d+/gm)).toEqual(['  n0 -> n1'])
    expect(dot).not.toContain('never exported')
    expect(dot).toContain(': verified"')
    expect(await draw('mermaid')).toContain(':::denied')
    expect(await draw('svg')).toContain('class="edge claimed"')
    expect(await draw('html')).toContain('a report, never evidence')
  })

  it('draws of very many denials the first, counts all, and lists those that the audit lists', async () => {
    const first = entryBy('gateway', [])
    const spans = Array.from({ length: 60 }, () => denialOf(entryBy('payments', [first])))
    const path = await folder({
      'keys.json': KEYS,
      'spans.jsonl': `${exported(first)}${otlpLine('payments', spans)}\n`,
    })
    const { stdout } = await kest(['graph', 'spans.jsonl', '--keys', 'keys.json', '-f', 'html'], {
      cwd: path,
    })
    expect(stdout.match(/class="node denied/g)).toHaveLength(40)
    expect(stdout.match(/<strong>denied</g)).toHaveLength(60)
    expect(stdout).toContain('<b>60 operations</b>')
  })

  it('draws of very many links the first of each entry, and says how many it leaves out', async () => {
    const roots = Array.from({ length: 110 }, () =>
      entryBy('gateway', [], { labels: { trace_id: 'a'.repeat(32) } }),
    )
    const joined = Array.from({ length: 190 }, () => entryBy('orders', roots))
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(...roots, ...joined) })
    for (const format of ['svg', 'dot']) {
      const args = ['graph', 'spans.jsonl', '--keys', 'keys.json', '-f', format]
      const { code, stdout, stderr } = await kest(args, { cwd: path })
      expect(code).toBe(0)
      expect(stderr).toBe('kest: 900 links of 20900 are not drawn\n')
      expect(stdout).toContain(`trace ${'a'.repeat(32)} (20000 of 20900 links)`)
      expect(stdout.match(/class="edge"| -> /g)).toHaveLength(20_000)
    }
  })

  it('bounds a page of which strangers write as much as they can', async () => {
    const root = entryBy('gateway', [])
    const labels = Object.fromEntries([1, 2].map((i) => [`app.${i}`, '<'.repeat(1_000)]))
    const others = Array.from({ length: 700 }, () =>
      entryBy('orders', [root], { operation: '<'.repeat(2_000), labels }),
    )
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(root, ...others) })
    const args = ['graph', 'spans.jsonl', '--keys', 'keys.json', '-o', 'page.html']
    expect(await kest(args, { cwd: path })).toMatchObject({ code: 0, stderr: '' })
    const page = await readFile(join(path, 'page.html'), 'utf8')
    expect(page.length).toBeLessThan(16_777_216)
    expect(page).toContain(`${'\\u003c'.repeat(100)}… (2000 characters)`)
  })

  it('draws evidence whose entries are of two traces, each entry once', async () => {
    const first = entryBy('gateway', [])
    const [earlier, later] = [first.entry.labels['trace_id'], 'f'.repeat(32)]
    const second = entryBy('orders', [first], { labels: { trace_id: later } })
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(first, second) })
    await kest(['evidence', 'spans.jsonl', '--keys', 'keys.json', '--trace', later, '-o', 'evidence.json'], {
      cwd: path,
    })
    const { code, stdout } = await kest(['graph', 'evidence.json', '-f', 'dot'], { cwd: path })
    expect(code).toBe(0)
    expect(stdout).toContain(`label="trace ${earlier}, trace ${later}: consistent with its own keys"`)
    expect(stdout.match(/^ {2}n\d+ \[/gm)).toHaveLength(2)
    expect(stdout).toContain('n0 -> n1')
    expect(stdout).not.toContain('never exported')
  })

  it.each(['mermaid', 'dot', 'svg', 'html'])(
    'K-AUDIT escapes what strangers wrote for where it is shown: %s',
    async (format) => {
      const hostile = entryBy('gateway', [], {
        operation: HOSTILE,
        added_taints: [HOSTILE],
        taints: [HOSTILE],
      })
      const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(hostile) })
      const { code, stdout } = await kest(['graph', 'spans.jsonl', '--keys', 'keys.json', '-f', format], {
        cwd: path,
      })
      expect(code).toBe(0)
      // In DOT that is text like any other, as long as it stays within its quotes.
      if (format === 'dot') expect(stdout).toMatch(/^ {2}n0 \[label="(?:[^"\\]|\\.)*", color="#137333"/m)
      else expect(stdout).not.toContain('<script>alert')
      expect(stdout).not.toContain('\u001b')
      expect(stdout).not.toContain('\u202e')
      expect(stdout).toContain('alert')
    },
  )

  it('K-AUDIT writes no entity of HTML into DOT that a stranger wrote, for Graphviz would read it', async () => {
    const hostile = entryBy('gateway', [], { operation: 'pay &#8238;001&#10;&lt;b&gt; \\n' })
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(hostile) })
    const { stdout } = await kest(['graph', 'spans.jsonl', '--keys', 'keys.json', '-f', 'dot'], { cwd: path })
    expect(stdout).toContain('\\npay &amp;#8238;001&amp;#10;&amp;lt;b&amp;gt; \\\\n\\ntrust 40')
  })

  it.each([
    ['lineage.html', '<!doctype html>'],
    ['lineage.SVG', '<\\?xml.*\\n<svg'],
    ['lineage.gv', 'digraph'],
    ['lineage.mmd', 'flowchart'],
    ['lineage', 'flowchart'],
  ])('writes in the format that the name of the output asks for: %s', async (name, beginning) => {
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(...chain()) })
    const run = await kest(['graph', 'spans.jsonl', '--trust', 'keys.json', '-o', name], { cwd: path })
    expect(run).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect(await readFile(join(path, name), 'utf8')).toMatch(new RegExp(`^${beginning}`, 'i'))
  })

  it.each([
    [['-o', 'lineage.png'], /\.png says no format: --format mermaid or dot or svg or html/],
    [['-o', 'lineage.svg', '-f', 'html'], /--format html and --output lineage\.svg, which asks for svg/],
    [['-f', 'hmtl'], /did you mean html\?/],
  ])('draws nothing in a format that is not clear: %j', async (args, message) => {
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(...chain()) })
    const run = await kest(['graph', 'spans.jsonl', '--trust', 'keys.json', ...args], { cwd: path })
    expect(run).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(message) })
  })

  it('says which trust domains there are, and which are needed', async () => {
    const path = await folder({
      'trust.json': { bundles: {}, keys: {} },
      'spans.jsonl': exported(...chain()),
    })
    const run = await kest(['graph', 'spans.jsonl', '--trust', 'trust.json'], { cwd: path })
    expect(run.stderr).toBe(
      'kest: the trust material is of no trust domain, and entries name kest.test: if you trust that, --trust kest.test=FILE\n',
    )
  })

  it('makes the same picture of the same spans', async () => {
    const [first, second, third] = chain()
    const path = await folder({
      'keys.json': KEYS,
      'a.jsonl': exported(first, second, third),
      'b.jsonl': exported(third, first, second),
    })
    const pictures = await Promise.all(
      ['a', 'b'].map((name) =>
        kest(['graph', `${name}.jsonl`, '--keys', 'keys.json', '-f', 'svg'], { cwd: path }),
      ),
    )
    expect(pictures[0]?.stdout).toBe(pictures[1]?.stdout)
  })
})
