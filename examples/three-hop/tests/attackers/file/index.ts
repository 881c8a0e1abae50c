import type { FileGroup } from './attack.js'
import { DROPPED } from './dropped.js'
import { EDITED } from './edited.js'
import { FORGED, MIXED } from './forged.js'
import { NUMBERS } from './numbers.js'

/** The table: all that whoever may write the exported file is known to try. */
export const FILE_ATTACKS: readonly FileGroup[] = [DROPPED, EDITED, FORGED, MIXED, NUMBERS]
