import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { folder, kest } from '../tests/support/kest.js'
import { entryBy, exported, KEYS } from '../tests/support/spans.js'

const HOSTILE = '</script><script>globalThis.hacked = 1</script><img src=x onerror="globalThis.hacked = 1">'

describe('the page that kest graph makes, in a real browser', () => {
  let browser: Browser
  let page: Page
  const requests: string[] = []
  const complaints: string[] = []

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: chromiumOnPath(), args: ['--no-sandbox'] })
  })

  afterAll(() => browser?.close())

  beforeEach(async () => {
    requests.length = 0
    complaints.length = 0
    page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' })
    page.on('request', (request) => requests.push(request.url()))
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.goto(await makePage())
  })

  it('F-TE-04 shows every entry, with what is known of it', async () => {
    expect(await page.title()).toMatch(/^trace [0-9a-f]{32}$/)
    expect(await page.locator('.verdict').textContent()).toBe('broken')
    expect(await page.locator('.node').count()).toBe(5)
    expect(await page.locator('.node.verified').count()).toBe(4)
    expect(await page.locator('.node.failed').textContent()).toContain('does not hold')
    expect(await page.locator('aside').textContent()).toContain('principal-unknown')
    expect(complaints).toEqual([])
  })

  it('asks nobody for anything, and runs nothing that strangers wrote', async () => {
    expect(requests).toEqual([page.url()])
    await page.locator('.node', { hasText: '</script>' }).first().click()
    expect(await page.locator('#details').textContent()).toContain(HOSTILE)
    expect(await page.evaluate('globalThis.hacked')).toBeUndefined()
    const refused = await page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")
    expect(refused).toBe('refused')
    expect(complaints.join()).toContain('Content Security Policy')
  })

  it('can be read by keyboard alone: into the picture, along the lineage, and closer', async () => {
    await page.locator('#theme').focus()
    await page.keyboard.press('Tab')
    expect(await chosen()).toBe('gateway')
    await page.keyboard.press('ArrowDown')
    const one = await chosen()
    await page.keyboard.press('ArrowRight')
    expect([one, await chosen()].sort()).toEqual(['orders', 'payments'])
    await page.keyboard.press('ArrowLeft')
    expect(await chosen()).toBe(one)
    await page.keyboard.press('ArrowDown')
    expect(await page.locator('#details').textContent()).toContain('joined')
    const before = await viewBox()
    await page.keyboard.press('+')
    expect((await viewBox())[2]).toBeLessThan(before[2] as number)
    await page.keyboard.press('0')
    expect(await viewBox()).toEqual(before)
  })

  it('finds entries by anything that they say', async () => {
    await page.keyboard.press('/')
    await page.keyboard.type('stranger')
    expect(await page.locator('#found').textContent()).toBe('1 of 5')
    expect(await page.locator('.node.found').count()).toBe(1)
    expect(await chosen()).toBe('stranger')
    await page.keyboard.press('Escape')
    expect(await page.locator('.node.found').count()).toBe(0)
  })

  it('is light or dark, as its reader has it or wants it', async () => {
    const background = (): Promise<unknown> =>
      page.evaluate('getComputedStyle(document.body).backgroundColor')
    expect(await background()).toBe('rgb(255, 255, 255)')
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await background()).toBe('rgb(23, 24, 26)')
    await page.locator('#theme').click()
    expect(await background()).toBe('rgb(255, 255, 255)')
  })

  async function chosen(): Promise<string | null> {
    return await page.locator('#details h2').textContent()
  }

  async function viewBox(): Promise<number[]> {
    const box = await page.locator('#view svg').getAttribute('viewBox')
    return (box ?? '').split(' ').map(Number)
  }
})

/** A fork that is joined again, and an entry by somebody whom nobody knows. */
async function makePage(): Promise<string> {
  const first = entryBy('gateway', [])
  const orders = entryBy('orders', [first])
  const payments = entryBy('payments', [first], { operation: HOSTILE })
  const joined = entryBy('orders', [orders, payments], { operation: 'joined' })
  const path = await folder({
    'keys.json': KEYS,
    'spans.jsonl': exported(first, orders, payments, joined, entryBy('stranger', [joined])),
  })
  const run = await kest(['graph', 'spans.jsonl', '--keys', 'keys.json', '-f', 'html', '-o', 'graph.html'], {
    cwd: path,
  })
  expect(run).toMatchObject({ code: 0, stderr: '' })
  return pathToFileURL(join(path, 'graph.html')).href
}

/** A missing browser is a failure, never a skip. */
function chromiumOnPath(): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  for (const file of folders.flatMap((path) => [join(path, 'chromium'), join(path, 'chromium-browser')])) {
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // Not there; another folder may have it.
    }
  }
  throw new Error('these tests need Chromium on PATH: apt-get install chromium')
}
