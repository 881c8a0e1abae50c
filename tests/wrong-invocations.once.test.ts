import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { root } from '../scripts/workspace.mjs'

const folder = mkdtempSync(join(tmpdir(), 'kest-wrong-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const FILES = {
  'spans.jsonl': '{"resourceSpans":[]}\n',
  'bundle.json': '{"keys":[],"spiffe_sequence":1}',
  'bundle.pem': '-----BEGIN CERTIFICATE-----\n',
  'trust.json': '{"keys":{},"bundles":{}}',
  'order-4711.json': '{"format":"kest-evidence-1","passport":[],"trust":{"keys":{}}}',
  'broken.json': '{"keys":',
  'twice.json': '{"keys":{},"keys":{}}',
}
for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text)
mkdirSync(join(folder, 'empty'))

const AUDIT = ['audit', 'spans.jsonl', '--trust', 'trust.json']
const GRAPH = ['graph', 'order-4711.json']

/** As one types it by mistake → where the error says it is, and what it says to write instead. */
const MISTAKES: readonly [string, readonly string[], RegExp, RegExp][] = [
  ['nothing at all', [], /which command\?/, /See kest --help/],
  ['a misspelled command', ['adit', 'spans.jsonl'], /unknown command adit/, /did you mean audit\?/],
  ['a command for a file', ['order-4711.json'], /unknown command order-4711\.json/, /See kest --help/],
  ['a misspelled option', [...AUDIT, '--trase', 'x'], /unknown option --trase/, /did you mean --trace\?/],
  [
    'one dash for two',
    ['audit', 'spans.jsonl', '-trust', 'x'],
    /unknown option -trust/,
    /did you mean --trust\?/,
  ],
  [
    'an option of another command',
    ['show', 'order-4711.json', '--trust', 'trust.json'],
    /unknown option --trust/,
    /it is one of kest verify, audit/,
  ],
  ['no value', ['audit', 'spans.jsonl', '--trust'], /--trust: /, /expected \[TRUST-DOMAIN=\]FILE after it/],
  [
    'an option for a value',
    ['audit', 'spans.jsonl', '--trust', '--json'],
    /--trust: .*got "--json"/,
    /expected \[TRUST-DOMAIN=\]FILE/,
  ],
  ['a value that is not taken', [...AUDIT, '--json=yes'], /--json /, /takes no value/],
  ['no file', ['verify'], /which file, or folder\?/, /kest verify evidence\.json/],
  ['no trust', ['audit', 'spans.jsonl'], /whose keys count\?/, /--trust TRUST-DOMAIN=FILE/],
  [
    'a bundle of no domain',
    ['audit', 'spans.jsonl', '--trust', 'bundle.json'],
    /--trust bundle\.json: /,
    /--trust TRUST-DOMAIN=bundle\.json/,
  ],
  [
    'a domain for what has its own',
    ['audit', 'spans.jsonl', '--trust', 'example.org=trust.json'],
    /--trust example\.org=trust\.json: /,
    /--trust trust\.json/,
  ],
  [
    'a SPIFFE ID for a domain',
    ['audit', 'spans.jsonl', '--trust', 'spiffe://example.org=bundle.json'],
    /without spiffe:/,
    /example\.org=bundle\.json/,
  ],
  [
    'a bundle in PEM',
    ['audit', 'spans.jsonl', '--trust', 'example.org=bundle.pem'],
    /bundle\.pem: it is PEM/,
    /spire-server bundle show -format spiffe/,
  ],
  [
    'evidence for trust',
    ['verify', 'order-4711.json', '--trust', 'order-4711.json'],
    /--trust order-4711\.json: /,
    /its "trust" member is what is meant/,
  ],
  [
    'trust that is not there',
    ['verify', 'order-4711.json', '--trust', 'nowhere.json'],
    /--trust nowhere\.json: /,
    /there is no such file/,
  ],
  [
    'trust that is torn',
    ['verify', 'order-4711.json', '--trust', 'broken.json'],
    /--trust broken\.json: /,
    /not JSON/,
  ],
  [
    'a member twice',
    ['verify', 'order-4711.json', '--trust', 'twice.json'],
    /--trust twice\.json: /,
    /a member twice/,
  ],
  [
    'two trust domains in one option',
    ['audit', 'spans.jsonl', '--trust', 'trust.json', '--trust-domain', 'a', '--trust', 'b'],
    /--trust-domain/,
    /--trust TRUST-DOMAIN=FILE/,
  ],
  ['no time', [...AUDIT, '--since', 'yesterday'], /--since: .*got "yesterday"/, /2026-01-31T12:00:00Z/],
  ['half a trace', [...AUDIT, '--trace', '4bf92f'], /--trace: .*got "4bf92f"/, /32 hex digits/],
  [
    'an unknown finding',
    [...AUDIT, '--fail-on', 'incompleet'],
    /--fail-on: .*got "incompleet"/,
    /did you mean incomplete\?/,
  ],
  ['two outputs', [...AUDIT, '--json', '--table'], /--json or --table/, /not both/],
  ['an end for what has none', [...AUDIT, '--idle', '60'], /--for and --idle/, /are for --listen/],
  [
    'no port',
    ['audit', '--listen', 'localhost', '--trust', 'trust.json'],
    /--listen: .*got "localhost"/,
    /PORT or HOST:PORT, such as 4318/,
  ],
  ['standard input twice', ['audit', '-', '--trust', '-'], /standard input/, /can be read once/],
  ['a folder without evidence', ['verify', 'empty'], /empty: not usable/, /there is no evidence in it/],
  [
    'a picture of no format',
    [...GRAPH, '-o', 'lineage.png'],
    /--output lineage\.png/,
    /--format mermaid or dot or svg or html/,
  ],
  ['two formats', [...GRAPH, '-f', 'svg', '-o', 'lineage.html'], /--output lineage\.html/, /leave one out/],
  [
    'evidence as a page',
    ['evidence', 'spans.jsonl', '--trust', 'trust.json', '-o', 'x.html'],
    /--output x\.html/,
    /kest graph case\.json -o x\.html/,
  ],
  ['a folder to show', ['show', 'empty'], /empty: /, /it is a directory/],
  ['an unknown shell', ['completion', 'csh'], /shell: .*got "csh"/, /bash or zsh or fish/],
  [
    'services without a command',
    ['dev', '--workloads', 'orders', 'npm', 'start'],
    /which command\?/,
    /kest dev --workloads orders -- npm/,
  ],
]

describe('a wrong invocation of kest', () => {
  it.each(MISTAKES)(
    'answers what is wrong, where, and what to write instead, with status 2: %s',
    async (_, args, where, instead) => {
      const { code, said } = await kest(args)
      expect(code).toBe(2)
      expect(said).toMatch(where)
      expect(said).toMatch(instead)
      expect(said).not.toMatch(/mistake in kest|^ {4}at /m)
    },
  )
})

function kest(args: readonly string[]): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(root, 'packages/cli/bin/kest.js'), ...args],
      { cwd: folder },
      (_, stdout, stderr) => resolve({ code: child.exitCode, said: stdout + stderr }),
    )
    child.stdin?.end()
  })
}
