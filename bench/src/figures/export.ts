import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setupTelemetry, type TelemetryOptions } from '@kest/telemetry'
import type { TimeFigure, Work } from '../figure.js'
import { createWorkload, recording } from '../workload.js'

const SERVICE = 'bench'

interface ExportCase {
  readonly name: string
  readonly target?: number
  readonly options: () => TelemetryOptions | Promise<TelemetryOptions>
}

/** The hook with an audit trail behind it, beside the hook whose spans are recorded and go nowhere. */
function exportFigure({ name, target, options }: ExportCase): TimeFigure {
  return {
    group: 'hook',
    name,
    unit: 'µs',
    floor: 'the hook, with a recording SDK',
    ...(target === undefined ? {} : { target }),
    async prepare() {
      const telemetry = setupTelemetry({ serviceName: SERVICE, ...(await options()) })
      return {
        floor: hookWith(createWorkload('Ed25519', recording())),
        subject: hookWith(createWorkload('Ed25519', { telemetry })),
      }
    },
  }
}

function hookWith({ kest, root }: ReturnType<typeof createWorkload>): Work {
  return async () => {
    const operation = await kest.begin(root, { state: null })
    await operation.run(nothing)
  }
}

/** Takes everything at once: what is left is what the trail itself adds to an operation. */
function discarding(): TelemetryOptions {
  return {
    exporter: {
      export: (_, done) => done({ code: 0 }),
      shutdown: () => Promise.resolve(),
    },
  }
}

/** A folder that goes with this process. Nothing is lost, so that what is measured is done. */
function writing(): TelemetryOptions {
  const endpoint = mkdtempSync(join(tmpdir(), 'kest-bench-'))
  process.once('exit', () => rmSync(endpoint, { recursive: true, force: true }))
  return { exporter: 'file', endpoint, fsync: 'never', onOverflow: 'wait', waitTimeoutMs: 60_000 }
}

/** A Collector that takes the connection and never answers: the queue is full soon, and what does not fit is dropped. */
async function hanging(): Promise<TelemetryOptions> {
  const server = createServer((socket) => socket.resume())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { exporter: 'otlp', endpoint: `http://127.0.0.1:${port}`, onOverflow: 'drop', logger: QUIET }
}

const QUIET = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} })

function nothing(): void {}

export const exportLatency: TimeFigure = exportFigure({
  name: 'the whole hook, with an audit trail',
  target: 1.1,
  options: discarding,
})
/** Informs: everything is written, by the same processor, and operations wait for it when it is behind. */
export const exportFile: TimeFigure = exportFigure({
  name: 'the whole hook, and its span written to a file',
  options: writing,
})
/** What an operation waits for does not depend on whether anybody takes its span. */
export const exportHanging: TimeFigure = exportFigure({
  name: 'the whole hook, its Collector hanging',
  target: 1.1,
  options: hanging,
})
