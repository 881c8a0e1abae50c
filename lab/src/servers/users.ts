import { statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { type Service, USERS } from '../chain.js'
import { programFile } from '../files.js'

/** Whether services run as users of their own, and if not, why. */
export type ServiceUsers = { readonly apart: true } | { readonly apart: false; readonly why: string }

/** Only root can choose users, and those must be able to read the programs. */
export function serviceUsers(): ServiceUsers {
  if (process.getuid?.() !== 0)
    return { apart: false, why: 'only root can start services as users of their own' }
  for (const file of [programFile('services/hop1'), process.execPath]) {
    if (!isPublic(file)) return { apart: false, why: `other users cannot read ${file}` }
  }
  if (!isOpen(tmpdir())) return { apart: false, why: `other users cannot get into ${tmpdir()}` }
  return { apart: true }
}

/** `undefined` for the operator's own. */
export function userOf(service: Service, users: ServiceUsers): number | undefined {
  return users.apart ? USERS[service] : undefined
}

/** Whether everybody can read a file. */
function isPublic(file: string): boolean {
  return may(file, 0o004) && isOpen(dirname(file))
}

/** Whether everybody can go through a folder, and those on its way. */
function isOpen(folder: string): boolean {
  const parent = dirname(folder)
  return may(folder, 0o001) && (parent === folder || isOpen(parent))
}

function may(path: string, mode: number): boolean {
  return (statSync(path).mode & mode) === mode
}
