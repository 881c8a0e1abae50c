import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { KestEntry } from '../entry/entry.js'
import type { InboundAdapter, SuiteRoute } from './inbound-adapter.js'
import { within } from './inbound-checks.js'
import { type Answer, deferred, InboundWorld, lineage, rawRequest, until } from './inbound-world.js'

const NONCE = 'AAAAAAAAAAAAAAAAAAAAAA'
const asking = async (): Promise<string> => `baggage: ${await lineage()},kest.receipt=${NONCE}`

/** The receipts of an answer, as they were sent. */
function receiptsIn({ head }: Answer): string[] {
  return Array.from(head.matchAll(/^kest-receipt: *(.*?)\r?$/gm), ([, value]) => value as string)
}

function entryOf(compact: unknown): KestEntry {
  return JSON.parse(Buffer.from(String(compact).split('.')[1] ?? '', 'base64url').toString())
}

/** A world that records how operations end. */
function recording() {
  const signed: string[] = []
  const span = {
    isRecording: () => true,
    setAttributes: (more: Record<string, unknown>) => {
      if (more['kest.signature'] !== undefined) signed.push(String(more['kest.signature']))
      return span
    },
    setAttribute: (key: string, value: unknown) => span.setAttributes({ [key]: value }),
    setStatus: () => span,
    spanContext: () => ({ traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), traceFlags: 1 }),
    end: () => undefined,
  }
  const tracerProvider = { getTracer: () => ({ startSpan: () => span }) } as never
  const world = new InboundWorld(true, { outcomes: true, telemetry: { tracerProvider } })
  const ends = () =>
    signed.flatMap((compact) => {
      const { operation, labels } = entryOf(compact)
      return labels['kest.outcome'] === undefined ? [] : [`${operation} ${labels['kest.outcome']}`]
    })
  return { world, signed, ends }
}

const done = (path: string, handle: SuiteRoute['handle'] = () => 'done'): SuiteRoute => ({
  method: 'GET',
  path,
  policy: 'test',
  handle,
})

const fails = (): never => {
  throw new Error('own words')
}

/** What every adapter answers about what it has recorded (K-RECEIPT, K-OUTCOME); part of `testInbound`. */
export function testInboundReceipts(
  it: (title: string, test: () => Promise<void>) => unknown,
  adapter: InboundAdapter,
): void {
  it('K-RECEIPT answers with the entry of the request, to who asks for it, also where its handler fails', () =>
    within(recording(), async ({ world, signed }) => {
      const port = await world.serve(adapter, {}, [done('/x'), done('/fails', fails)])
      for (const [path, status] of [
        ['/x', 200],
        ['/fails', 500],
      ] as const) {
        const answer = await world.send(port, `GET ${path}`, [await asking()])
        const [receipt, ...others] = receiptsIn(answer)
        assert.deepEqual([answer.status, others], [status, []])
        // The head of an answer is read in lower case.
        const entry = signed.find((compact) => compact.toLowerCase() === receipt)
        assert.equal(entryOf(entry).operation, `GET ${path}`)
        assert.equal(entryOf(entry).labels['kest.call'], NONCE)
      }
    }))

  it('K-RECEIPT answers without one who does not ask, what is refused, and what matches no route', () =>
    within(new InboundWorld(({ policies }) => !policies.includes('no')), async (world) => {
      const port = await world.serve(adapter, {}, [done('/x'), { ...done('/denied'), policy: 'no' }])
      for (const [path, header, status] of [
        ['/x', `baggage: ${await lineage()}`, 200],
        ['/x', `baggage: kest.receipt=${NONCE}`, 403],
        ['/denied', await asking(), 403],
        ['/nothing', await asking(), 404],
      ] as const) {
        const answer = await world.send(port, `GET ${path}`, [header])
        assert.deepEqual([answer.status, receiptsIn(answer)], [status, []])
      }
    }))

  it('K-RECEIPT an edge gives none', () =>
    within(recording(), async ({ world, signed }) => {
      const port = await world.serve(adapter, { origin: 'user_input' }, [done('/x')])
      const answer = await world.send(port, 'GET /x', [await asking()])
      assert.deepEqual([answer.status, receiptsIn(answer)], [200, []])
      assert.equal(entryOf(signed[0]).labels['kest.call'], undefined)
    }))

  it('K-OUTCOME records whether a request has succeeded, failed, or was left', () =>
    within(recording(), async ({ world, ends }) => {
      const reached = deferred()
      const port = await world.serve(adapter, {}, [
        done('/x'),
        done('/fails', fails),
        done('/left', async ({ kest }) => {
          const left = once(kest.state.signal as AbortSignal, 'abort')
          reached.resolve()
          await left
        }),
      ])
      const own = `baggage: ${await lineage()}`
      await world.send(port, 'GET /x', [own])
      await world.send(port, 'GET /fails', [own])
      await until(() => ends().length === 2, 'both to be recorded')
      const socket = await world.connect(port)
      socket.write(rawRequest('GET /left', [own]))
      await reached.promise
      socket.destroy()
      await until(() => ends().length === 3, 'the third to be recorded')
      assert.deepEqual(ends().sort(), [
        'GET /fails#end failed',
        'GET /left#end aborted',
        'GET /x#end succeeded',
      ])
    }))
}
