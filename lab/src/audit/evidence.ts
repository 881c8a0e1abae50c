import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createEvidence, type Passport, parseEvidence, type TrustDocument, verifyEvidence } from '@kest/core'
import { createX509KeySource } from '@kest/spiffe'

/** Files the passport away, for anyone to check later; and is the first to do so. */
export async function fileEvidence(
  file: string,
  passport: Passport,
  tips: readonly string[],
  trust: TrustDocument,
): Promise<void> {
  await writeJson(file, createEvidence({ passport, trust, tip: tips, semantics: 'enforce' }))
  await verifyEvidence(parseEvidence(await readFile(file, 'utf8')), { trust, x509: createX509KeySource })
}

/** Whole or not at all, as {@link writeJson}. */
export async function copyWhole(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  const partial = partOf(to)
  await copyFile(from, partial)
  await rename(partial, to)
}

/** Whole or not at all: two labs may write to one place, and whoever reads it finds one of them. */
export async function writeJson(file: string, value: unknown): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  const partial = partOf(file)
  await writeFile(partial, `${JSON.stringify(value, null, 2)}\n`)
  await rename(partial, file)
}

function partOf(file: string): string {
  return `${file}.${process.pid}.part`
}
