import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../scripts/workspace.mjs'

/** A fenced block of a README. */
export interface Snippet {
  /** Of the README, from the root. */
  readonly page: string
  /** Of its first line, from 1. */
  readonly line: number
  /** The heading above it. */
  readonly section: string
  readonly language: string
  readonly text: string
}

/** The READMEs of the root, of every package and example, and of what else is run. */
export const README_PAGES: readonly string[] = [
  'README.md',
  'bench/README.md',
  'deploy/kubernetes/README.md',
  'docker/README.md',
  'lab/README.md',
  ...['packages', 'examples'].flatMap((parent) =>
    readdirSync(join(root, parent)).map((name) => `${parent}/${name}/README.md`),
  ),
].filter((page) => existsSync(join(root, page)))

/** All blocks of a page, in its order. */
export function snippetsOf(page: string): Snippet[] {
  const lines = readFileSync(join(root, page), 'utf8').split('\n')
  const snippets: Snippet[] = []
  let section = ''
  for (let i = 0; i < lines.length; i += 1) {
    section = /^#+ (.+)$/.exec(lines[i] as string)?.[1] ?? section
    const [, indent = '', language] = /^( *)```(\w*)$/.exec(lines[i] as string) ?? []
    if (language === undefined) continue
    const end = lines.indexOf(`${indent}\`\`\``, i + 1)
    if (end === -1) throw new Error(`${page}:${i + 1}: a block without an end`)
    const text = lines.slice(i + 1, end).map((line) => line.slice(indent.length))
    snippets.push({ page, line: i + 2, section, language, text: text.join('\n') })
    i = end
  }
  return snippets
}

/** The guides. */
export const GUIDES: readonly string[] = readdirSync(join(root, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)

/** Everything in TypeScript that READMEs show. */
export function typeScriptSnippets(): Snippet[] {
  return README_PAGES.flatMap(snippetsOf).filter(({ language }) => language === 'ts')
}

/** `packages-core-README-16.ts`: one module each, at the line where it stands. */
export function fileNameOf({ page, line }: Snippet): string {
  return `${page.replace(/\.md$/, '').replaceAll('/', '-')}-${line}.ts`
}
