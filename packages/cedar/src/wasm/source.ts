import { KestConfigError, readRegularFile } from '@kest/core'

/** Text, or the file that holds it. */
export type Source = string | URL | { readonly file: string | URL }

/** A text, and what errors call it. */
export interface NamedText {
  readonly name: string
  readonly text: string
}

/** @throws {KestConfigError} naming what cannot be read, and why */
export async function readSources(where: string, sources: Source | readonly Source[]): Promise<NamedText[]> {
  const list = Array.isArray(sources) ? (sources as readonly Source[]) : [sources as Source]
  return Promise.all(
    list.map(async (source, index) => {
      if (typeof source === 'string') {
        return { name: list.length === 1 ? where : `${where}[${index}]`, text: source }
      }
      const file = source instanceof URL ? source : source?.file
      if (!(file instanceof URL) && (typeof file !== 'string' || file === ''))
        throw new KestConfigError(`${where}: expected text, a file: URL, or { file }`)
      try {
        return { name: String(file), text: (await readRegularFile(file)).toString('utf8') }
      } catch (cause) {
        throw new KestConfigError(`${String(file)}: ${(cause as Error).message}`, { cause })
      }
    }),
  )
}
