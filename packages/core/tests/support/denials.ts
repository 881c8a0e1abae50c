import { canonicalize } from '../../src/entry/canonicalize.js'
import { MockIdentityProvider } from '../../src/identity/mock.js'
import type { JwsType } from '../../src/jws/header.js'
import { signCompact } from '../../src/jws/sign-compact.js'
import { DEFAULT_LIMITS } from '../../src/limits.js'
import { entryWith } from './signed.js'

/** Who refuses in these tests. */
export const refuser: MockIdentityProvider = new MockIdentityProvider('hop1')

/** What a denial states. */
export const denialPayload = {
  denial_id: '01a0c450-0000-7000-8000-000000000000',
  principal: refuser.getWorkloadId(),
  operation: 'read',
  code: 'ERR_KEST_DENIED',
  policies: ['orders/read'],
  parents: ['a'.repeat(64)],
  trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
  n: '3f2b8c1e-0000-4000-8000-000000000001:1',
  timestamp_ms: Date.UTC(2030, 0, 1),
}

/** Signed by {@link refuser}, whatever it is. */
export function signedByRefuser(content: unknown, typ: JwsType = 'kest-denial'): string {
  return signCompact('it', typ, canonicalize(content), refuser.current(), DEFAULT_LIMITS.entryBytes) as string
}

export const denialJws: string = signedByRefuser(denialPayload)

/** What a denial looks like to whoever passes over `typ`, over the members, or over both. */
export const PASSED_OFF: Readonly<Record<string, string>> = {
  'as it is': denialJws,
  'with the typ of an entry': signedByRefuser(denialPayload, 'JWS'),
  'with the members of an entry beside its own': signedByRefuser({ ...entryWith(), ...denialPayload }),
  'an entry with the typ of a denial': signedByRefuser(entryWith()),
}
