import { readFileSync } from 'node:fs'
import { parseRootsFile, type RootList } from '@kest/core'
import { DEPLOYMENT_FILE } from '../chain.js'

/** Who may begin lineage: what the services were told, the auditor goes by as well. */
export const ROOTS: RootList = parseRootsFile(readFileSync(DEPLOYMENT_FILE, 'utf8'), DEPLOYMENT_FILE)
