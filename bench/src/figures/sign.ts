import { createKeyIdentity } from '@kest/core'
import type { TimeFigure } from '../figure.js'
import { signEntry } from '../internals.js'
import { createWorkload, type KeyKind, rawSign } from '../workload.js'

/** RFC 8785, base64url, signature and hash of an entry that is there. */
function signFigure(kind: KeyKind, name: string, target?: number): TimeFigure {
  return {
    group: 'sign',
    name,
    unit: 'µs',
    floor: `one ${kind} signature`,
    ...(target === undefined ? {} : { target }),
    async prepare() {
      const workload = createWorkload(kind)
      const { entry } = await workload.chain(2)
      const signer = await createKeyIdentity(entry.principal, workload.privateKey).current()
      return { floor: rawSign(workload, entry.jws), subject: () => signEntry(entry.entry, signer) }
    },
  }
}

export const sign: TimeFigure = signFigure('Ed25519', 'canonicalize and sign an entry', 1.25)
export const signP256: TimeFigure = signFigure('P-256', 'the same with P-256')
