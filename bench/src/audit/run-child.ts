import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const MAX_ANSWER_BYTES = 64 * 1024 * 1024

/** Runs a module in a process of its own, with memory of its own, and answers the JSON that it prints. */
export async function runChild<T>(
  module: URL,
  args: readonly string[],
  nodeArgs: readonly string[] = [],
): Promise<T> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...nodeArgs, fileURLToPath(module), ...args],
    {
      maxBuffer: MAX_ANSWER_BYTES,
    },
  )
  return JSON.parse(stdout) as T
}
