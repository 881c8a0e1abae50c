import type { Group } from './attack.js'
import { CLAIM_CHECKS } from './claim-checks.js'
import { FLOODS } from './floods.js'
import { IDENTITY } from './identity.js'
import { KEYS } from './keys.js'
import { LINEAGE } from './lineage.js'
import { REDIRECTS } from './redirects.js'
import { REPLAY } from './replay.js'
import { SPELLING } from './spelling.js'
import { SPLICES } from './splices.js'
import { TIME } from './time.js'
import { VALUES } from './values.js'

/** The table: all that a hop with a valid identity of its own is known to try. */
export const HOP_ATTACKS: readonly Group[] = [
  LINEAGE,
  REPLAY,
  SPLICES,
  VALUES,
  IDENTITY,
  KEYS,
  TIME,
  SPELLING,
  CLAIM_CHECKS,
  REDIRECTS,
  FLOODS,
]
