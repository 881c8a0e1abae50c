import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../scripts/workspace.mjs'
import { fileNameOf, typeScriptSnippets } from './snippets.js'

/**
 * Writes every snippet in TypeScript, as printed, as a module of its own, and what compiles them all: `tsc -p folder`.
 *
 * @param ambient files of `tests/fixtures/readmes` that declare what the snippets take for given
 */
export function writeSnippets(folder: string, ambient: readonly string[]): void {
  for (const snippet of typeScriptSnippets()) {
    writeFileSync(join(folder, fileNameOf(snippet)), `${snippet.text}\nexport {}\n`)
  }
  for (const file of ambient) copyFileSync(join(root, 'tests/fixtures/readmes', file), join(folder, file))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    types: ['node'],
    // Those of Nest. No README shows the standard ones.
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
}
