import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/**
 * Options of bash for what a README shows. Where no shell is around it and its standard input is a socket, as a test gives it one,
 * bash takes itself for the shell of a remote login, and reads what those begin with.
 */
export const SCRIPT = ['--norc', '-euc'] as const

/** What the command printed, complaints first; when it fails, an error with all of it. */
export async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args, { cwd, env, maxBuffer: 1 << 24 })
    return stderr + stdout
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${command} ${args.join(' ')} failed\n${stdout}${stderr}`, { cause: error })
  }
}
