import { Passport } from '../passport/passport.js'
import { actingIn, currentState } from './state.js'

/**
 * The user that the current operation acts for; `null` outside a request, or when nobody stated one (F-CP-06). Where pseudonyms
 * are on, it is the clear name where the request begins, and the pseudonym in all services behind (K-PSEUDONYM).
 */
export function getCurrentUser(): string | null {
  return actingIn(currentState())?.user ?? null
}

/** The agent that acts; `null` as for {@link getCurrentUser}. */
export function getCurrentAgent(): string | null {
  return actingIn(currentState())?.agent ?? null
}

/** The task it acts in; `null` as for {@link getCurrentUser}. */
export function getCurrentTask(): string | null {
  return actingIn(currentState())?.task ?? null
}

/** The raw bearer token that was verified for this request. It is never propagated by itself (K-JWT). */
export function getCurrentJwt(): string | null {
  return currentState()?.jwt ?? null
}

/**
 * The passport at this moment, from where the caller stands (K-FLOW); `null` outside a request and an operation.
 * To keep it for later, store its strings, and verify them again when they are taken up (K-RESUME).
 */
export function getCurrentPassport(): Passport | null {
  const state = currentState()
  return state === null ? null : new Passport(state.frame.lineage.strings())
}
