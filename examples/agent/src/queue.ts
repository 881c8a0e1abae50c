import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A message as a queue has it: a payload, and a string map beside it. */
export interface Job {
  readonly headers: Record<string, string>
  readonly body: string
}

/** The least that is a queue: a folder, and a file for each job. */
export class Queue {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async open(out: string): Promise<Queue> {
    const folder = join(out, 'jobs')
    await mkdir(folder, { recursive: true })
    return new Queue(folder)
  }

  async put(job: Job): Promise<void> {
    const name = join(this.#folder, randomUUID())
    await writeFile(`${name}.new`, JSON.stringify(job))
    await rename(`${name}.new`, `${name}.json`)
  }

  /** Waits for the next one; it is gone when `handle` has settled without an error. */
  async take(handle: (job: Job) => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const [name] = (await readdir(this.#folder)).filter((file) => file.endsWith('.json'))
      if (name === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        continue
      }
      const file = join(this.#folder, name)
      await handle(JSON.parse(await readFile(file, 'utf8')) as Job)
      await rm(file)
      return
    }
  }
}
