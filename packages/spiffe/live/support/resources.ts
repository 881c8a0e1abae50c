import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** Closes it when the test is over, the last one first. */
export function use<T extends Disposable | AsyncDisposable>(resource: T): T {
  onTestFinished(async () => {
    if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]()
    else resource[Symbol.dispose]()
  })
  return resource
}

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kest-live-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}
