import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type SeenAnswer,
  type SendForReceipt,
  testCallReceipts,
  testHostileReceipts,
} from '../../../tests/outbound/receipt-suite.js'
import {
  type Asked,
  CALLEE,
  receiptCallee,
  receiptCaller,
  receiptFor,
} from '../../../tests/outbound/receipts.js'
import type { McpServerOptions } from '../src/index.js'
import type { Transport } from '../src/message.js'
import { clientOf, connect, connectHttp, serveHttp, serverOf } from './support/connect.js'
import { type AnyServer, LINES, type Line } from './support/lines.js'
import { startRawServer } from './support/raw-server.js'

interface Result {
  readonly content?: readonly { readonly text: string }[]
  readonly _meta?: Record<string, unknown>
  readonly isError?: boolean
}

interface CallsTools {
  callTool(params: object): Promise<Result>
}

/** One call, by a client of its own, of a tool that is given the path. */
function sendBy(line: Line): SendForReceipt {
  return async (url, { kest, propagateTo }) => {
    const { origin } = new URL(url)
    const client = clientOf(line, { kest, carry: propagateTo })
    try {
      await client.mcp.connect(line.httpClient(new URL('/mcp', origin)))
      const text = url.slice(origin.length)
      return seenIn(
        await (client.mcp as unknown as CallsTools).callTool({ name: 'tool', arguments: { text } }),
      )
    } catch (error) {
      const { code, data, message } = error as { code?: unknown; data?: object; message: string }
      if (code !== -32050) throw error
      return { status: 500, names: Object.keys(data ?? {}), body: message.replace(/^MCP error -32050: /, '') }
    } finally {
      await client.mcp.close()
    }
  }
}

function seenIn({ content, _meta = {} }: Result): SeenAnswer {
  const names = Object.keys(_meta).map((name) => name.toLowerCase())
  return { status: 200, names, body: content?.[0]?.text ?? '' }
}

for (const line of LINES) testCallReceipts(`kestMcpClient, ${line.name}`, sendBy(line), startRawServer)

// What is no text is none: there is one member of a name.
const why = { 'itself twice': 'three', 'itself and another field': 'three' }
testHostileReceipts('kestMcpClient, line 2', sendBy(LINES[1] as Line), startRawServer, why)

/** What an answer says, and what comes after it. */
async function answeredBy(
  line: Line,
  mode: 'accept' | 'require',
  answer: (id: unknown, asked: Asked) => readonly object[],
) {
  const server = await startRawServer(async ({ headers }, response) => {
    const asked = await receiptFor(headers)
    const { messages } = response as unknown as { messages(make: (id: unknown) => readonly object[]): void }
    messages.call(response, (id) => answer(id, asked as Asked))
  })
  onTestFinished(() => server.close())
  const caller = receiptCaller({ [server.origin]: CALLEE }, { mode })
  const send = sendBy(line)
  const rule = { kest: caller.kest, propagateTo: [server.origin] }
  return (await caller.kest.begin(root)).run(() => send(`${server.origin}/x`, rule))
}

const result = (id: unknown, text: string, receipt?: unknown) => ({
  jsonrpc: '2.0',
  id,
  result: {
    content: [{ type: 'text', text }],
    _meta: receipt === undefined ? {} : { 'kest-receipt': receipt },
  },
})

describe.each(LINES)('a hostile server, $name', (line) => {
  const refused = { code: 'ERR_KEST_RECEIPT' }

  it('K-RECEIPT answers twice, and the second answer is not told while the first is looked at', async () => {
    for (const spelled of [
      (id: unknown) => id,
      String,
      (id: unknown) => ` ${id} `,
      (id: unknown) => `${id}.0`,
    ]) {
      const answer = answeredBy(line, 'require', (id, { receipt }) => [
        result(
          id,
          'first',
          receipt.replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A')),
        ),
        result(spelled(id), 'second'),
      ])
      await expect(answer).rejects.toMatchObject(refused)
    }
  })

  it('K-RECEIPT answers under another spelling of the id, or as what is a request as well, and needs a receipt all the same', async () => {
    for (const forge of [
      (id: unknown) => result(String(id), 'forged'),
      (id: unknown) => result(`${id}.0`, 'forged'),
      (id: unknown) => ({ ...result(id, 'forged'), method: 'ping' }),
    ]) {
      const answer = answeredBy(line, 'require', (id) => [forge(id), result(id, 'after')])
      await expect(answer).rejects.toMatchObject(refused)
    }
  })

  it('K-RECEIPT is asked past what stands around its transport, and needs a receipt all the same', async () => {
    const server = await startRawServer((_, response) => void response.end('unlooked at'))
    onTestFinished(() => server.close())
    for (const mode of ['accept', 'require'] as const) {
      const caller = receiptCaller({ [server.origin]: CALLEE }, { mode })
      const client = clientOf(line, { kest: caller.kest, carry: [server.origin] })
      onTestFinished(() => client.mcp.close())
      const transport = line.httpClient(new URL('/mcp', server.origin)) as unknown as Transport
      await client.mcp.connect(transport as never)
      transport.send = Object.getPrototypeOf(transport).send
      const answer = (await caller.kest.begin(root)).run(() =>
        (client.mcp as unknown as CallsTools).callTool({ name: 'tool', arguments: { text: '/x' } }),
      )
      if (mode === 'accept')
        expect((await answer) as Result).toMatchObject({ content: [{ text: 'unlooked at' }] })
      else await expect(answer).rejects.toMatchObject(refused)
    }
  })

  it('K-RECEIPT says what is no text, or deep beyond measure, and fails its own call', async () => {
    let deep: unknown = []
    for (let n = 0; n < 2_000; n++) deep = [deep]
    for (const said of [null, 7, {}, ['x'], deep])
      await expect(answeredBy(line, 'accept', (id) => [result(id, 'x', said)])).rejects.toMatchObject(refused)
  })
})

const root = { operation: 'root', policy: 'test', origin: 'system' } as const

/** A protected server over HTTP, and who calls it and asks for receipts. */
async function called(
  line: Line,
  register: (server: AnyServer) => void,
  options: Partial<McpServerOptions> = {},
) {
  const callee = receiptCallee()
  const make = () => serverOf(line, { kest: callee.kest, policy: 'test', ...options }, register)
  /** What has left, as text. */
  const sent: string[] = []
  const endpoint = await serveHttp(line, make, {
    options: { enableJsonResponse: true },
    around: async (_, response, handle) => {
      const { write, end } = response
      response.write = ((chunk: unknown, ...rest: never[]) => {
        if (chunk) sent.push(Buffer.from(chunk as string).toString())
        return Reflect.apply(write, response, [chunk, ...rest])
      }) as typeof write
      response.end = ((chunk: unknown, ...rest: never[]) => {
        if (chunk && typeof chunk !== 'function') sent.push(Buffer.from(chunk as string).toString())
        return Reflect.apply(end, response, [chunk, ...rest])
      }) as typeof end
      await handle()
    },
  })
  const { origin } = endpoint.url
  const caller = receiptCaller(
    { [origin]: CALLEE },
    { mode: options.origin === undefined ? 'require' : 'accept' },
  )
  const client = await connectHttp(line, clientOf(line, { kest: caller.kest, carry: [origin] }), endpoint)
  const within = async <T>(fn: () => Promise<T>): Promise<T> => (await caller.kest.begin(root)).run(fn)
  const sentReceipts = () => sent.join('').split('"kest-receipt":').length - 1
  return { ...caller, callee, client, within, sentReceipts, mcp: client.mcp as unknown as CallsTools }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe.each(LINES)('a protected server, $name', (line) => {
  it('K-RECEIPT K-OUTCOME answers with the entry of each call, which its client takes out', async () => {
    const { mcp, client, callee, within, receipts, entries } = await called(line, (one) =>
      one.tool('tool', () => 'm'),
    )
    await within(async () => {
      const { _meta: meta = {}, content } = await mcp.callTool({ name: 'tool', arguments: {} })
      expect(content?.[0]?.text).toBe('"m"')
      expect(Object.keys(meta)).not.toContain('kest-receipt')
      await client.read('doc://one')
      await client.prompt('greet')
    })
    const operations = ['mcp:tools/call:tool', 'mcp:resources/read:doc://one', 'mcp:prompts/get:greet']
    await until(() => callee.entries().length === 6)
    const asked = callee.entries().filter(({ labels }) => labels['kest.call'] !== undefined)
    expect(asked.map(({ operation }) => operation)).toEqual(operations)
    expect(receipts().map((one) => one['kest.receipt.of'])).toEqual([CALLEE, CALLEE, CALLEE])
    const hashes = receipts().map((one) => one['kest.receipt.hash'])
    expect(entries().at(-1)?.labels['kest.receipts']).toBe(hashes.join(','))
  })

  it('K-RECEIPT K-OUTCOME answers so where the tool fails, too, which is recorded as such', async () => {
    const { mcp, callee, within, receipts } = await called(line, (one) =>
      one.tool('tool', () => {
        throw new Error('own words')
      }),
    )
    await within(async () => {
      expect(await mcp.callTool({ name: 'tool', arguments: {} })).toMatchObject({ isError: true })
    })
    await until(() => callee.entries().length === 2)
    expect(receipts()).toHaveLength(1)
    expect(callee.entries()[1]).toMatchObject({
      operation: 'mcp:tools/call:tool#end',
      labels: { 'kest.outcome': 'failed' },
    })
  })

  it('K-RECEIPT answers an error of the protocol with it, in its data, where the application finds none', async () => {
    const { callee, client, within, receipts } = await called(line, () => {})
    await within(async () => {
      const failure = await client.read('doc://none').then(
        () => null,
        (error: { code?: unknown; data?: unknown }) => error,
      )
      expect(failure).not.toBeNull()
      expect(failure?.code).not.toBe('ERR_KEST_RECEIPT')
      expect(JSON.stringify(failure?.data ?? {})).not.toContain('kest-receipt')
    })
    await until(() => callee.entries().length === 2)
    expect(receipts()).toHaveLength(1)
    expect(callee.entries()[1]?.labels['kest.outcome']).toBe('failed')
  })

  it('K-RECEIPT fails a call that is refused where there must be one: what is refused has none', async () => {
    const { client, within, receipts } = await called(line, (one) => one.tool('tool', () => 'm'), {
      policy: () => undefined,
    })
    await within(async () => {
      await expect(client.call('tool')).rejects.toMatchObject({ code: 'ERR_KEST_RECEIPT' })
    })
    expect(receipts()).toEqual([])
  })

  it('K-RECEIPT lets no receipt leave that the application has from somebody else, and at an edge none', async () => {
    const leak = { 'Kest-Receipt': 'of.somebody.else', other: 'stays' }
    const register = ({ mcp }: AnyServer): void => {
      const { registerResource } = mcp as unknown as { registerResource(...args: unknown[]): void }
      const read = (uri: URL) => ({ contents: [{ uri: String(uri), text: 'text' }], _meta: leak })
      registerResource.call(mcp, 'leak', 'doc://leak', {}, read)
    }
    for (const [options, count] of [
      [{}, 1],
      [{ origin: 'user_input' }, 0],
    ] as const) {
      const { client, within, sentReceipts } = await called(line, register, options)
      await within(async () => {
        const { _meta: meta } = (await client.read('doc://leak')) as Result
        expect(meta).toMatchObject({ other: 'stays' })
        expect(JSON.stringify(meta)).not.toMatch(/kest-receipt/i)
      })
      expect(sentReceipts()).toBe(count)
    }
  })

  it('K-RECEIPT K-OUTCOME a call that was cancelled is recorded as aborted', async () => {
    const controller = new AbortController()
    const { callee, client, within } = await called(line, (one) =>
      one.tool('tool', () => {
        controller.abort()
        return new Promise(() => {})
      }),
    )
    await within(async () => {
      await expect(client.call('tool', {}, { signal: controller.signal })).rejects.toThrow()
    })
    await until(() => callee.entries().length === 2)
    expect(callee.entries()[1]?.labels['kest.outcome']).toBe('aborted')
  })

  it('K-RECEIPT whoever is named by being connected is nobody of whom there could be one: refused where there must be', async () => {
    const callee = receiptCallee()
    const server = () =>
      serverOf(line, { kest: callee.kest, policy: 'test' }, (one) => one.tool('tool', () => 'm'))
    for (const mode of ['accept', 'require'] as const) {
      const { kest, receipts } = receiptCaller({ 'https://mcp.invalid': CALLEE }, { mode })
      const client = await connect(line, clientOf(line, { kest, carry: true }), server())
      const answered = (await kest.begin(root)).run(() => client.call('tool'))
      if (mode === 'accept') expect(await answered).toBe('m')
      else await expect(answered).rejects.toMatchObject({ code: 'ERR_KEST_RECEIPT' })
      expect(receipts()).toEqual([])
    }
  })
})
