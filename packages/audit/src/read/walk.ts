import type { Dirent } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Folders in folders, below the one that is named. */
const MAX_DEPTH = 16
/** Names of files and folders, of all together. */
const MAX_NAMES = 100_000

/** Something in a folder: a file to read, or what is not read, and why. */
export interface FileInFolder {
  readonly path: string
  /** `null` for a regular file, by whatever links. */
  readonly passed: null | {
    /** `limit`: a bound was exceeded; `unreadable`: all else. */
    readonly code: 'limit' | 'unreadable'
    readonly why: string
  }
}

/**
 * The files in a folder and in the folders in it, each folder's in the order of their names. What is not read is named, with why: no
 * folder whose name begins with a dot, none by a link, of which there may be circles, and none that lies deeper than 16 in others; what
 * is no regular file, or cannot be read. Where there are more than 100,000 names, nothing is read of a folder with which there are more.
 *
 * @param path as its files are to be called; the folder itself may be a link
 * @throws {Error} when the folder itself cannot be read, with the `code` of the system
 */
export async function* filesInFolder(path: string): AsyncGenerator<FileInFolder> {
  yield* walk(path, 0, { names: MAX_NAMES })
}

async function* walk(folder: string, depth: number, left: { names: number }): AsyncGenerator<FileInFolder> {
  const entries = await entriesOf(folder, left.names)
  if (entries === null) {
    yield passed(folder, `with it there are more than ${MAX_NAMES} names: name folders in it`, 'limit')
    return
  }
  left.names -= entries.length
  for (const entry of entries) {
    const path = join(folder, entry.name)
    const found = await kindOf(entry, path)
    if (found !== 'folder') yield found
    else if (entry.name.startsWith('.'))
      yield passed(path, 'it is a hidden folder, which is not read: name it')
    else if (depth === MAX_DEPTH)
      yield passed(path, `it lies deeper than ${MAX_DEPTH} folders in each other: name it`, 'limit')
    else yield* inner(path, depth + 1, left)
  }
}

/** A folder in one is not what was named: that it cannot be read ends nothing. */
async function* inner(path: string, depth: number, left: { names: number }): AsyncGenerator<FileInFolder> {
  try {
    yield* walk(path, depth, left)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    yield unreadable(path, error)
  }
}

/** @returns `null` when there are more than that */
async function entriesOf(folder: string, most: number): Promise<Dirent[] | null> {
  const entries: Dirent[] = []
  for await (const entry of await opendir(folder)) {
    if (entries.length === most) return null
    entries.push(entry)
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function kindOf(entry: Dirent, path: string): Promise<FileInFolder | 'folder'> {
  try {
    const found = await stat(path)
    if (found.isFile()) return { path, passed: null }
    if (!found.isDirectory()) return passed(path, 'it is no regular file')
    return entry.isSymbolicLink()
      ? passed(path, 'it is a link to a folder, which is not followed: name it')
      : 'folder'
  } catch (error) {
    return unreadable(path, error)
  }
}

function unreadable(path: string, error: unknown): FileInFolder {
  const { code, message } = error as NodeJS.ErrnoException
  return passed(path, `it cannot be read: ${code ?? message}`)
}

function passed(path: string, why: string, code: 'limit' | 'unreadable' = 'unreadable'): FileInFolder {
  return { path, passed: { code, why } }
}
