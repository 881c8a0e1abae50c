import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '..')
const NOT_OURS = new Set(['node_modules', 'dist', 'out', '.git'])

const pages = markdownIn(ROOT)

it.each(pages.map((page) => [relative(ROOT, page), page]))('every link of %s leads somewhere', (_, page) => {
  const dead = linksOf(readFileSync(page, 'utf8')).filter((link) => !leadsSomewhere(page, link))
  expect(dead).toEqual([])
})

const readmes = readdirSync(join(ROOT, 'packages')).map((name) => join(ROOT, 'packages', name, 'README.md'))

it.each(readmes.map((page) => [relative(ROOT, page), page]))(
  'every link of %s leads somewhere on the page of a registry, which has that file alone',
  (_, page) => {
    expect(linksOf(readFileSync(page, 'utf8')).filter((link) => !/^#|^https:/.test(link))).toEqual([])
  },
)

it.each(pages.map((page) => [relative(ROOT, page), page]))(
  'every test that %s names for what it claims is there, under that title',
  (_, page) => {
    const absent = testsNamedBy(readFileSync(page, 'utf8')).filter(({ path, title }) => {
      const file = targetOf(page, path)
      return !existsSync(file) || !readFileSync(file, 'utf8').includes(title)
    })
    expect(absent).toEqual([])
  },
)

it('finds the titles of tests that a page names', () => {
  expect(testsNamedBy('[test](a.test.ts "K-A b"), [test](c.ts "d"), [page](e.md)')).toEqual([
    { path: 'a.test.ts', title: 'K-A b' },
    { path: 'c.ts', title: 'd' },
  ])
})

it('finds a page that is not there, and a heading', () => {
  const page = join(ROOT, 'README.md')
  expect(leadsSomewhere(page, 'no-such-page.md')).toBe(false)
  expect(leadsSomewhere(page, '#no-such-heading')).toBe(false)
  expect(leadsSomewhere(page, 'README.md#two-commands')).toBe(true)
  expect(leadsSomewhere(page, `${PUBLISHED}core#tokens`)).toBe(true)
  expect(leadsSomewhere(page, `${PUBLISHED}core#no-such-heading`)).toBe(false)
  expect(leadsSomewhere(page, `${PUBLISHED}no-such-package`)).toBe(false)
})

function markdownIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : markdownIn(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}

/** Where a package's README is shown once it is published. */
const PUBLISHED = 'https://www.npmjs.com/package/@kest/'

/** Those to other sites are theirs to keep. */
function linksOf(text: string): string[] {
  const prose = text.replaceAll(/^```.*?^```/gms, '')
  return [...prose.matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)]
    .map(([, target]) => target as string)
    .filter((target) => target.startsWith(PUBLISHED) || !/^[a-z]+:/.test(target))
}

/** A link to a test has the title of the test for its own: `[test](path "title")`. */
function testsNamedBy(text: string): { path: string; title: string }[] {
  return [...text.matchAll(/\[test\]\((\S+) "([^"]+)"\)/g)].map(([, path, title]) => ({
    path: path as string,
    title: title as string,
  }))
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = '', heading] = link.split('#')
  const target = targetOf(page, path)
  if (!existsSync(target)) return false
  if (heading === undefined) return true
  const shown = statSync(target).isDirectory() ? join(target, 'README.md') : target
  return headingsOf(readFileSync(shown, 'utf8')).includes(heading)
}

function targetOf(page: string, path: string): string {
  if (path === '') return page
  if (path.startsWith(PUBLISHED)) return join(ROOT, 'packages', path.slice(PUBLISHED.length))
  return resolve(dirname(page), path)
}

/** As GitHub makes anchors of headings. */
function headingsOf(text: string): string[] {
  return [...text.replaceAll(/^```.*?^```/gms, '').matchAll(/^#+ +(.+)$/gm)].map(([, heading]) =>
    (heading as string)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-'),
  )
}
