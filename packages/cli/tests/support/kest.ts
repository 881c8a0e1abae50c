import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

export const BINARY: string = fileURLToPath(new URL('../../bin/kest.js', import.meta.url))

export interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Options {
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** Runs the real command. Its output is no terminal. */
export function kest(args: readonly string[], options: Options = {}): Promise<Run> {
  return start(args, options).ended
}

/** The real command while it runs. */
export interface Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly ended: Promise<Run>
}

export function start(args: readonly string[], options: Options = {}): Running {
  const child = spawn(process.execPath, [BINARY, ...args], {
    cwd: options.cwd,
    env: { PATH: process.env['PATH'], ...options.env },
  })
  // A command that reads no standard input has closed it by now.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.stdin ?? '')
  return { child, ended: runOf(child) }
}

async function runOf(child: ChildProcessWithoutNullStreams): Promise<Run> {
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code: child.exitCode, stdout, stderr }
}

/** What was printed with `--json`. */
export function lines(run: Run): Record<string, unknown>[] {
  return run.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** A folder of files for one test: name → text, or a value that becomes JSON. */
export async function folder(files: Readonly<Record<string, unknown>>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kest-cli-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    await writeFile(
      join(path, name),
      typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content),
    )
  }
  return path
}
