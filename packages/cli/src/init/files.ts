import type { Choices } from './choices.js'
import { composeFiles } from './compose.js'
import { deploymentFile } from './deployment.js'
import { patchFile } from './patch.js'
import { policyFiles } from './policy.js'
import { setupModule } from './setup-module.js'
import type { WrittenFile } from './written-file.js'

/** All that is written for these choices, in the order in which one would read it. */
export function filesOf(choices: Choices): readonly WrittenFile[] {
  return [
    deploymentFile(choices),
    setupModule(choices),
    patchFile(choices),
    ...policyFiles(choices),
    ...composeFiles(choices),
  ]
}
