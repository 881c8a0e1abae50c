import type { AuthorityReady, Enlistment, Ready } from './messages.js'

/**
 * Tells the operator. It may be gone by then, before anybody here knows: `'disconnect'` will say so, and whoever waits
 * for that ends in good order. An error here would end the process before it can tidy up.
 */
export function tell(message: Enlistment | Ready | AuthorityReady): void {
  process.send?.(message, () => {})
}
