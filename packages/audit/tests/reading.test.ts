import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import * as zlib from 'node:zlib'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { ATTRIBUTE, SCOPE } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readFiles, readStream, type SpanBatch } from '../src/index.js'
import { type MadeEntry, makeEntry } from '../src/testing/make-entry.js'
import { otlpLine, spanOf } from '../src/testing/make-span.js'

const gateway = new MockIdentityProvider('gateway')
const entry = (): MadeEntry => makeEntry(gateway.current(), [])
const lineOf = (...made: readonly MadeEntry[]): string =>
  otlpLine(
    'any',
    made.map((one) => spanOf(one)),
  )
const { zstdCompressSync } = zlib as unknown as { zstdCompressSync?: (data: string | Buffer) => Buffer }

interface Read {
  readonly signatures: readonly unknown[]
  readonly others: number
  readonly findings: readonly (readonly [code: string, place: string | null])[]
}

async function readAll(source: AsyncIterable<SpanBatch>, within = ''): Promise<Read> {
  const signatures: unknown[] = []
  const findings: [string, string | null][] = []
  let others = 0
  for await (const batch of source) {
    signatures.push(...batch.spans.map(({ claims }) => claims.signature))
    findings.push(
      ...batch.findings.map(({ code, place }): [string, string | null] => [
        code,
        place?.replace(within, '') ?? null,
      ]),
    )
    others += batch.others
  }
  return { signatures, others, findings }
}

async function folder(files: Readonly<Record<string, string | Uint8Array>> = {}): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kest-reading-test-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text)
  return path
}

async function readOne(content: string | Uint8Array, options = {}): Promise<Read> {
  const path = join(await folder({ file: content }), 'file')
  return await readAll(readFiles([path], options), path)
}

const framed = (message: Uint8Array): Buffer => {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(message.length)
  return Buffer.concat([head, message])
}

/** The export as the Collector writes it with `format: proto`. */
function protobufOf(made: MadeEntry): Uint8Array {
  const nested = (writer: BinaryWriter, field: number, write: () => void): void => {
    writer.tag(field, WireType.LengthDelimited).fork()
    write()
    writer.join()
  }
  const writer = new BinaryWriter()
  nested(writer, 1, () =>
    nested(writer, 2, () => {
      nested(writer, 1, () => writer.tag(1, WireType.LengthDelimited).string(SCOPE))
      nested(writer, 2, () =>
        nested(writer, 9, () => {
          writer.tag(1, WireType.LengthDelimited).string(ATTRIBUTE.signature)
          nested(writer, 2, () => writer.tag(1, WireType.LengthDelimited).string(made.jws))
        }),
      )
    }),
  )
  return writer.finish()
}

describe('what is commonly written is read', () => {
  const [first, second] = [entry(), entry()]
  const both = [first.jws, second.jws]
  const value = (made: MadeEntry) => JSON.parse(lineOf(made)) as { resourceSpans: Record<string, unknown>[] }
  const renamed = (from: string, to: string) => lineOf(first, second).replace(`"${from}":`, `"${to}":`)

  it.each<[string, string | Uint8Array]>([
    ['one export over several lines', JSON.stringify(JSON.parse(lineOf(first, second)), null, 2)],
    ['a list of exports', JSON.stringify([value(first), value(second)])],
    ['lines that end with CR and LF', `${lineOf(first)}\r\n\r\n${lineOf(second)}\r\n`],
    ['a byte order mark', `\ufeff${lineOf(first, second)}`],
    ["Tempo's batches", renamed('resourceSpans', 'batches')],
    ["an answer of Tempo's", `{"trace":${lineOf(first, second)},"metrics":{"inspectedBytes":"1"}}`],
    [
      'the lists that libraries had before scopes',
      renamed('scopeSpans', 'instrumentationLibrarySpans').replace('"scope":', '"instrumentationLibrary":'),
    ],
    ['messages of protobuf', Buffer.concat([first, second].map((made) => framed(protobufOf(made))))],
    ['messages of JSON', Buffer.concat([first, second].map((made) => framed(Buffer.from(lineOf(made)))))],
    ['lines of logs beside', `{"resourceLogs":[{}]}\n${lineOf(first, second)}\n`],
  ])('%s', async (_, content) => {
    const { signatures, findings } = await readOne(content)
    expect(signatures).toEqual(both)
    expect(findings.filter(([code]) => code !== 'skipped')).toEqual([])
  })

  it('ids in base64, as Tempo writes them', async () => {
    const path = await folder({
      'a.json': lineOf(first).replace(
        spanOf(first).spanId,
        Buffer.from(spanOf(first).spanId, 'hex').toString('base64'),
      ),
    })
    const ids: unknown[] = []
    for await (const { spans } of readFiles([path])) ids.push(...spans.map(({ spanId }) => spanId))
    expect(ids).toEqual([spanOf(first).spanId])
  })

  it('a stream, such as standard input', async () => {
    const content = zlib.gzipSync(`${lineOf(first)}\n${lineOf(second)}\n`)
    expect(
      await readAll(readStream(Readable.from([content.subarray(0, 7), content.subarray(7)]), '-')),
    ).toMatchObject({
      signatures: both,
      findings: [],
    })
  })

  it('a pipe that was handed down, and no other', async () => {
    const path = join(await folder(), 'pipe')
    execFileSync('mkfifo', [path])
    const fd = openSync(path, 'r+')
    onTestFinished(() => closeSync(fd))
    await expect(readAll(readFiles([path]))).rejects.toMatchObject({
      code: 'ERR_KEST_EVIDENCE',
      message: expect.stringContaining('it is no regular file'),
    })
    const file = join(await folder({ file: lineOf(first, second) }), 'file')
    const read = openSync(file, 'r')
    onTestFinished(() => closeSync(read))
    expect((await readAll(readFiles([`/dev/fd/${read}`]))).signatures).toEqual(both)
  })

  describe.runIf(zstdCompressSync !== undefined)('by zstd', () => {
    const zstd = (text: string): Buffer => (zstdCompressSync as (data: string) => Buffer)(text)
    const skippable = Buffer.from('5a2a4d1803000000aabbcc', 'hex')

    it.each<[string, () => Buffer]>([
      ['one frame', () => zstd(`${lineOf(first)}\n${lineOf(second)}\n`)],
      [
        'several frames, and some to skip',
        () => Buffer.concat([skippable, zstd(`${lineOf(first)}\n`), skippable, zstd(`${lineOf(second)}\n`)]),
      ],
      [
        'message by message',
        () => Buffer.concat([framed(zstd(lineOf(first))), framed(zstd(lineOf(second)))]),
      ],
    ])('%s', async (_, content) => {
      expect(await readOne(content())).toMatchObject({ signatures: both, findings: [] })
    })

    it('and what comes after it, or is missing at its end, is said', async () => {
      const frame = zstd(`${lineOf(first)}\n`)
      for (const content of [
        Buffer.concat([frame, Buffer.from('junk')]),
        Buffer.concat([frame, Buffer.alloc(9)]),
        Buffer.concat([frame, frame.subarray(0, -2)]),
        Buffer.concat([framed(Buffer.concat([frame, frame])), framed(frame)]),
      ])
        expect((await readOne(content)).findings).toEqual([['unreadable', expect.any(String)]])
    })
  })

  it.runIf(zstdCompressSync === undefined)(
    'by zstd is an error where Node has none, and says what to do',
    async () => {
      const magic = Buffer.from('28b52ffd04000000', 'hex')
      for (const content of [magic, framed(magic)]) {
        const path = join(await folder({ file: content }), 'file')
        const messages: string[] = []
        for await (const { findings } of readFiles([path]))
          messages.push(...findings.map(({ message }) => message))
        expect(messages).toEqual([expect.stringContaining('22.15')])
      }
    },
  )
})

describe('what is not read is an error', () => {
  const line = lineOf(entry())
  const inside = (text: string) => `{"resourceSpans":[{"scopeSpans":[{"spans":[${text}]}]}]}`

  it.each<[string, string | Uint8Array]>([
    ['what xz compressed', Buffer.from('fd377a585a000004', 'hex')],
    ['what bzip2 compressed', Buffer.from('BZh91AY&SY')],
    ['what lz4 compressed', Buffer.from('04224d18644070b9', 'hex')],
    ['an archive', Buffer.from('504b0304140000000800', 'hex')],
    ['what gzip compressed twice', zlib.gzipSync(zlib.gzipSync(line))],
    ['UTF-16', Buffer.from(`\ufeff${line}`, 'utf16le')],
    ['UTF-16 without a mark', Buffer.from(line, 'utf16le')],
    ['zero bytes behind a line', Buffer.concat([Buffer.from(`${line}\n`), Buffer.alloc(4_096)])],
    ['a second list of the same name', line.replace(/\}$/, ',"resourceSpans":[]}')],
    [
      'an attribute with two values of one name',
      inside('{"attributes":[{"key":"kest.signature","value":{"stringValue":"a","stringValue":"b"}}]}'),
    ],
    ['null for a list', '{"resourceSpans":[{"scopeSpans":null}]}'],
    ['an attribute that is none', inside('{"attributes":[null]}')],
    ['an attribute without a name', inside('{"attributes":[{"value":{}}]}')],
    ['names of another case', line.replace('resourceSpans', 'resource_spans')],
    ['a list beside that is not known', line.replace('"scopeSpans"', '"scope_spans":[],"scopeSpans"')],
    ['a scope that is none', line.replace('"scope":{', '"scope":[],"other":{')],
    ['a list of what is found', '{"data":[{"traceID":"1"}]}'],
    ['logs beside spans', '{"resourceSpans":[],"resourceLogs":[]}'],
    ['an answer with more in it', `{"trace":${line},"more":${line}}`],
    [
      'a message longer than it says',
      Buffer.concat([framed(Buffer.from('{"resourceSpans":[]}').subarray(0, 9)), Buffer.from('x')]),
    ],
    ['a message that was cut off', framed(Buffer.from(line)).subarray(0, -1)],
    ['messages of logs', framed(Buffer.from('0a0d120b12090900000000000000ff', 'hex'))],
  ])('%s', async (_, content) => {
    const { findings } = await readOne(content)
    expect(findings.filter(([code]) => code === 'unreadable' || code === 'limit')).not.toEqual([])
  })

  it('in a folder: hidden folders, FIFOs, sockets, devices and what is no text', async () => {
    const path = await folder({
      'a.png': Buffer.from('89504e470d0a1a0a00', 'hex'),
      'b.xz': Buffer.from('fd377a585a0000', 'hex'),
      'notes.txt': 'nothing\n',
    })
    mkdirSync(join(path, '.c'))
    execFileSync('mkfifo', [join(path, 'd')])
    await symlink('/dev/zero', join(path, 'e'))
    expect((await readAll(readFiles([path]), path)).findings).toEqual([
      ['unreadable', '/.c'],
      ['unreadable', '/a.png'],
      ['unreadable', '/b.xz'],
      ['unreadable', '/d'],
      ['unreadable', '/e'],
      ['skipped', '/notes.txt'],
    ])
  })
})

describe('a line in which a writer ended in the middle', () => {
  const [first, second] = [entry(), entry()]

  it('K-AUDIT is read on where the next one began, and says what was not read', async () => {
    const [one, two] = [lineOf(first), lineOf(second)]
    for (const at of [1, 9, 18, 40, one.length >> 1, one.length - 1]) {
      expect(await readOne(`${one.slice(0, at)}${two}\n`)).toEqual({
        signatures: [second.jws],
        others: 0,
        findings: [['torn', ':1']],
      })
    }
    expect(await readOne(`${one}${two}\n`)).toMatchObject({
      signatures: [first.jws, second.jws],
      findings: [],
    })
    expect(await readOne(`${one.slice(0, 99)}${one.slice(0, 50)}${two}${one.slice(0, 70)}`)).toMatchObject({
      signatures: [second.jws],
      findings: [['torn', ':1']],
    })
  })

  it('is cut in the middle of a character, too', async () => {
    const half = Buffer.from('{"resourceSpans":[{"resource":{"attributes":[{"key":"é').subarray(0, -1)
    expect(await readOne(Buffer.concat([half, Buffer.from(`${lineOf(second)}\n`)]))).toMatchObject({
      signatures: [second.jws],
      findings: [['torn', ':1']],
    })
  })

  it('is an error where what is before it is no beginning of an export', async () => {
    for (const before of ['x', '{"other":1', '{"resourceSpans":[]]]', '{"resourceSpans":[]}}'])
      expect(await readOne(`${before}${lineOf(second)}\n`)).toMatchObject({
        signatures: [second.jws],
        findings: [['unreadable', ':1']],
      })
  })

  it('is not taken for one because of what somebody wrote in a value', async () => {
    const made = makeEntry(gateway.current(), [], { operation: '{"resourceSpans":[' })
    const text = lineOf(made)
    expect(await readOne(`${text}\n`)).toMatchObject({ signatures: [made.jws], findings: [] })
    // Where the export around it is torn, the value begins nothing.
    expect(await readOne(`${text.slice(0, -1)}\n`)).toMatchObject({
      signatures: [],
      findings: [['unreadable', ':1']],
    })
    expect(await readOne(`${text.slice(0, -1)}${lineOf(second)}\n`)).toMatchObject({
      signatures: [second.jws],
      findings: [['torn', ':1']],
    })
  })
})

describe('whatever it is handed', () => {
  const within = (content: Uint8Array) => readOne(content, { maxLineBytes: 1_000_000 })

  it.each<[string, string]>([
    ['lines that are empty', '\n'],
    ['lines of white space', ' \r\n'],
    ['lines that are nothing', '{}\n'],
    ['beginnings', '{"resourceSpans":['],
  ])('it does not work for ever on %s that are small once they are compressed', async (_, unit) => {
    const { findings } = await within(zlib.gzipSync(unit.repeat(Math.floor(65_000_000 / unit.length))))
    expect(findings.at(-1)).toEqual(['limit', expect.any(String)])
  })

  it('answers, and says what it did not read', async () => {
    const line = Buffer.from(`${lineOf(entry())}\n`)
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map((text) => Buffer.from(text)),
      fc.constantFrom(
        line,
        zlib.gzipSync(line),
        framed(line),
        Buffer.from('28b52ffd', 'hex'),
        Buffer.from('\ufeff'),
      ),
      fc.nat({ max: line.length }).map((at) => line.subarray(0, at)),
    )
    const contents = fc.array(bytes, { minLength: 1, maxLength: 4 }).map((parts) => Buffer.concat(parts))
    await fc.assert(
      fc.asyncProperty(contents, async (content) => {
        const { signatures, others, findings } = await readAll(readStream(Readable.from([content]), '-'))
        const said = signatures.length + others + findings.length
        // What says nothing holds nothing: exports without spans, and white space.
        if (said === 0)
          expect(content.toString('latin1')).not.toMatch(/kest\.|[^\s\xef\xbb\xbf]{9}(?<!\[\]\}?)$/)
      }),
      { numRuns: 500 },
    )
  })

  it('K-LIMIT stays within a small heap for a large file that is nothing', async () => {
    const path = join(await folder({ 'a.jsonl': `${'[{'.repeat(200_000)}\n`.repeat(100) }), 'a.jsonl')
    const index = new URL('../dist/index.js', import.meta.url).href
    const program = `import { readFiles } from ${JSON.stringify(index)}
      let n = 0
      for await (const { findings } of readFiles([${JSON.stringify(path)}])) n += findings.length
      process.stdout.write(String(n))`
    const ran = spawnSync(process.execPath, [
      '--max-old-space-size=200',
      '--input-type=module',
      '-e',
      program,
    ])
    expect(ran.stdout.toString()).toBe('100')
  })
})
