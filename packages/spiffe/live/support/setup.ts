import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** The program of `live/go`. */
    readonly goProgram: string
    /** A Python that has `live/python/requirements.txt`. */
    readonly python: string
  }
}

const DEADLINE_MS = 600_000
const GO = fileURLToPath(new URL('../go', import.meta.url))
const REQUIREMENTS = fileURLToPath(new URL('../python/requirements.txt', import.meta.url))

/** Builds the other parties outside the tree. Where Go or Python is not there, the suite fails. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'kest-live-'))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  const goProgram = join(folder, 'go-spiffe')
  const environment = join(folder, 'python')
  const python = join(environment, 'bin/python')
  try {
    await execute('go', ['build', '-buildvcs=false', '-o', goProgram, '.'], GO)
    await execute('python3', ['-m', 'venv', environment])
    await execute(python, ['-m', 'pip', 'install', '--disable-pip-version-check', '-qr', REQUIREMENTS])
  } catch (error) {
    await remove()
    throw error
  }
  project.provide('goProgram', goProgram)
  project.provide('python', python)
  return remove
}

async function execute(command: string, args: readonly string[], cwd?: string): Promise<void> {
  try {
    await promisify(execFile)(command, args, { cwd, timeout: DEADLINE_MS, killSignal: 'SIGKILL' })
  } catch (error) {
    const { message, stderr = '' } = error as Error & { stderr?: string }
    throw new Error(`the live suite needs ${command}: ${message}\n${stderr}`, { cause: error })
  }
}
