import assert from 'node:assert'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { TelemetryOptions } from '@kest/telemetry'
import { build } from 'esbuild'

export const WRITING_SERVICE = fileURLToPath(new URL('../fixtures/writing-service.mjs', import.meta.url))

/** The service in one file: it starts in a third of the time, which counts when it starts a hundred times. */
export async function bundledService(folder: string): Promise<string> {
  const outfile = join(folder, 'writing-service.mjs')
  // Some of OpenTelemetry is CommonJS, and requires what Node has.
  const banner = {
    js: "import { createRequire as r } from 'node:module'; const require = r(import.meta.url)",
  }
  await build({
    entryPoints: [WRITING_SERVICE],
    outfile,
    banner,
    bundle: true,
    platform: 'node',
    format: 'esm',
  })
  return outfile
}

/** A service that writes until it is killed. */
export class WritingService {
  readonly #process: ChildProcess
  #said = ''

  constructor(program: string, telemetry: TelemetryOptions) {
    this.#process = spawn(process.execPath, [program, JSON.stringify(telemetry)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#process.stdout?.on('data', (chunk: Buffer) => (this.#said += chunk))
  }

  /** Resolves when so many operations may run. */
  async writes(operations: number): Promise<void> {
    while (this.#said.split('\n').length <= operations) {
      const ended = once(this.#process, 'close').then(() => assert.fail('the service ended by itself'))
      await Promise.race([once(this.#process.stdout as Readable, 'data'), ended])
    }
  }

  /** Without a warning. @returns the hashes of the entries whose operations might run */
  async kill(): Promise<string[]> {
    const ended = once(this.#process, 'close')
    this.#process.kill('SIGKILL')
    await ended
    return this.#said.split('\n').slice(0, -1)
  }
}
