import {
  DEFAULT_LIMITS,
  entryHash,
  KestError,
  type ParsedEntry,
  type Passport,
  parseEntry,
  parsePassport,
  ROOT_PARENT,
} from '@kest/core'

/** An entry as a file has it. Nothing of it is verified. */
export interface ShownEntry {
  readonly index: number
  readonly hash: string
  /** What it says, or why it cannot be read. */
  readonly content: ParsedEntry | KestError
  readonly parents: readonly ShownParent[]
  /** Whether no other entry names it as a parent. */
  readonly tip: boolean
}

export interface ShownParent {
  readonly hash: string
  /** Position in the passport; `null` when it is not there. */
  readonly index: number | null
}

/**
 * What a file has, as JSON.
 *
 * @throws {KestError} `ERR_KEST_EVIDENCE` when the text is no JSON
 */
export function parseShownFile(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new KestError('ERR_KEST_EVIDENCE', 'it is not JSON', { cause })
  }
}

/**
 * The passport of an evidence file, or a passport alone.
 *
 * @throws {KestError} `ERR_KEST_EVIDENCE` when it is neither; {@link parsePassport}'s errors
 */
export function parseShownPassport(value: unknown): Passport {
  if (Array.isArray(value)) return parsePassport(value)
  const passport = (value as { readonly passport?: unknown } | null)?.passport
  if (Array.isArray(passport)) return parsePassport(passport)
  throw new KestError('ERR_KEST_EVIDENCE', 'expected a passport (an array), or evidence with one')
}

/** Reads every entry by itself, those after an unreadable one too. */
export function readEntries(passport: Passport): ShownEntry[] {
  const hashes = passport.entries.map(entryHash)
  const contents = passport.entries.map(readContent)
  const named = new Set(contents.flatMap(parentsOf))
  return hashes.map((hash, index) => {
    const content = contents[index] as ShownEntry['content']
    const parents = parentsOf(content).map((parent) => ({
      hash: parent,
      index: positionOf(parent, hashes, index),
    }))
    return { index, hash, content, parents, tip: !named.has(hash) }
  })
}

function readContent(jws: string, index: number): ShownEntry['content'] {
  try {
    return parseEntry(jws, { limits: DEFAULT_LIMITS, index })
  } catch (error) {
    if (error instanceof KestError) return error
    throw error
  }
}

function parentsOf(content: ShownEntry['content']): readonly string[] {
  if (content instanceof KestError) return []
  return content.entry.parent_ids.filter((parent) => parent !== ROOT_PARENT)
}

/** Of entries that occur twice, the one before the child. */
function positionOf(parent: string, hashes: readonly string[], child: number): number | null {
  const before = hashes.lastIndexOf(parent, child - 1)
  const position = child > 0 && before !== -1 ? before : hashes.indexOf(parent)
  return position === -1 ? null : position
}
