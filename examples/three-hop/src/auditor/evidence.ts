import { readFile, writeFile } from 'node:fs/promises'
import { createEvidence, parseEvidence, type TrustDocument, verifyEvidence } from '@kest/core'
import { createX509KeySource } from '@kest/spiffe'
import type { VerifiedLineage } from './audit.js'
import { ROOTS } from './roots.js'

/** Files the lineage away, for anyone to check later; and is the first to do so. */
export async function fileEvidence(
  file: string,
  { passport, tips }: VerifiedLineage,
  trust: TrustDocument,
): Promise<void> {
  const evidence = createEvidence({ passport, trust, tip: tips, semantics: 'enforce', roots: ROOTS.rules })
  await writeFile(file, `${JSON.stringify(evidence, null, 2)}\n`)
  const filed = parseEvidence(await readFile(file, 'utf8'))
  await verifyEvidence(filed, { trust, x509: createX509KeySource })
}
