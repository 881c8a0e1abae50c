import { spawn } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import type { Socket } from 'node:net'
import type { PropagationRule } from '@kest/core'
import { createKestAgent, patchHttp } from '@kest/http'
import { withKest } from '@kest/undici'
import { Agent, request } from 'undici'
import type { TimeFigure, Work } from '../figure.js'
import { createWorkload } from '../workload.js'

/** Enough for the client to have always something to do. */
const AT_ONCE = 32
const ENTRIES = 3

/** One request, until its answer is read. */
type Send = (url: string) => Promise<void>

/** Before anything is patched. */
const native = { request: http.request, addRequest: Reflect.get(http.Agent.prototype, 'addRequest') }

export const httpPatched: TimeFigure = clientFigure('patchHttp', (rule) => {
  const end = patchHttp(rule)
  return { send: byHttp(http.request, new http.Agent(KEPT)), end }
})

export const httpAgent: TimeFigure = clientFigure('createKestAgent', (rule) => ({
  send: byHttp(native.request, createKestAgent(bareAgent(), rule)),
}))

/** What a passport on each request takes, beside the same request without. */
function clientFigure(
  name: string,
  sending: (rule: PropagationRule) => { readonly send: Send; readonly end?: () => void },
): TimeFigure {
  return {
    group: 'propagate',
    name: `${name} adds, ${AT_ONCE} requests at once`,
    unit: 'µs',
    floor: 'what @kest/undici adds to as many of undici',
    target: 1.15,
    added: true,
    async prepare() {
      const origin = await startServer()
      const { kest, chain } = createWorkload('Ed25519', { propagation: { encoding: 'compressed' } })
      const { state } = await chain(ENTRIES)
      const rule = { kest, propagateTo: [origin] }
      const atOnce =
        (send: Send): Work =>
        () =>
          kest.run(state, () =>
            Promise.all(Array.from({ length: AT_ONCE }, () => send(`${origin}/orders/1`))),
          )
      const { send, end } = sending(rule)
      return {
        ...(end && { end }),
        floor: atOnce(byUndici(withKest(new Agent({ connections: AT_ONCE }), rule))),
        subject: atOnce(send),
        without: {
          floor: atOnce(byUndici(new Agent({ connections: AT_ONCE }))),
          subject: atOnce(byHttp(native.request, bareAgent())),
        },
      }
    },
  }
}

const KEPT = { keepAlive: true, maxSockets: AT_ONCE }

function bareAgent(): http.Agent {
  return Object.assign(new http.Agent(KEPT), { addRequest: native.addRequest })
}

function byHttp(request: typeof http.request, agent: http.Agent): Send {
  return (url) =>
    new Promise((resolve, reject) => {
      request(url, { agent }, (response) => response.resume().on('end', resolve))
        .on('error', reject)
        .end()
    })
}

function byUndici(dispatcher: Agent): Send {
  return async (url) => {
    const { body } = await request(url, { dispatcher })
    await body.dump()
  }
}

/** A process of its own, so that its time is nobody's. It ends with this one. */
async function startServer(): Promise<string> {
  const server = spawn(process.execPath, ['-e', SERVER], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [port] = await once(server.stdout, 'data')
  server.unref()
  for (const pipe of [server.stdin, server.stdout]) (pipe as Socket).unref()
  return `http://127.0.0.1:${port}`
}

const SERVER = `
  const server = require('node:http').createServer((_, response) => response.end('ok'))
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1', () => process.stdout.write(String(server.address().port)))
  process.stdin.resume().on('end', () => process.exit())`
