// Removes what was built, and keeps what was installed.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { packageFolders, root } from './workspace.mjs'

for (const folder of packageFolders()) rmSync(join(root, folder, 'dist'), { recursive: true, force: true })
