import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { CannotRun } from '../failure.js'

/** Where programs are looked for: a folder that somebody named, then those of `PATH`. */
export class Programs {
  readonly #folders: readonly string[]

  constructor(bin: string | null, path = process.env['PATH'] ?? '') {
    const folders = path.split(delimiter).filter((folder) => folder !== '')
    this.#folders = bin === null ? folders : [resolve(bin), ...folders]
  }

  /** The file of a program; `undefined` where there is none. */
  find(name: string): string | undefined {
    return this.#folders.map((folder) => join(folder, name)).find(isExecutable)
  }

  /** `null` unless all of them are there. */
  findAll<Name extends string>(...names: readonly Name[]): Readonly<Record<Name, string>> | null {
    const found = names.map((name) => [name, this.find(name)] as const)
    return found.every(([, file]) => file !== undefined)
      ? (Object.fromEntries(found) as Record<Name, string>)
      : null
  }

  /** @throws {CannotRun} naming every one that is missing, and where to have them from */
  require<Name extends string>(...names: readonly Name[]): Readonly<Record<Name, string>> {
    const found = names.map((name) => [name, this.find(name)] as const)
    const missing = found.flatMap(([name, file]) => (file === undefined ? [name] : []))
    if (missing.length > 0)
      throw new CannotRun(
        `${missing.join(' and ')}: not on PATH. \`scripts/live-tools.sh FOLDER\` installs what the lab needs (it needs Go); ` +
          'then: npm run lab -- --bin FOLDER',
      )
    return Object.fromEntries(found) as Record<Name, string>
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
