import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { entryBy, exported } from '../tests/support/spans.js'
import { launch, type Opened, open } from './support/browser.js'
import { denied, type MadePage, makePage } from './support/pages.js'

describe('the page that kest graph makes, in a real browser', () => {
  let browser: Browser
  let made: MadePage
  let opened: Opened
  let page: Page

  beforeAll(async () => {
    browser = await launch()
    made = await makePage(forkAndJoin())
  })

  afterAll(async () => {
    await browser?.close()
    if (made !== undefined) await rm(made.folder, { recursive: true, force: true })
  })

  beforeEach(async () => {
    await opened?.page.close()
    opened = await open(browser, made.url)
    page = opened.page
  })

  it('F-TE-04 shows every entry, with what is known of it, and the verdict above', async () => {
    expect(await page.title()).toMatch(/^trace [0-9a-f]{32}$/)
    expect(await page.locator('.verdict').textContent()).toBe('broken')
    expect(await page.locator('header').textContent()).toContain('principal-unknown: no key is known for')
    expect(await page.locator('.node').count()).toBe(6)
    expect(await page.locator('.node.verified').count()).toBe(4)
    expect(await page.locator('.node.failed').textContent()).toContain('does not hold')
    expect(opened.complaints).toEqual([])
  })

  it('begins with what does not hold, and leads from each finding to its entry', async () => {
    expect(await chosen()).toBe('stranger')
    await page.getByRole('tab', { name: 'Entry' }).focus()
    await page.keyboard.press('ArrowRight')
    expect(await page.locator('#findings').isVisible()).toBe(true)
    expect(await page.locator('#findings').textContent()).toContain('principal-unknown')
    await page.locator('.node', { hasText: 'joined' }).click()
    await page.getByRole('tab', { name: /^Findings/ }).click()
    await page.locator('#findings [data-goto]').first().click()
    expect(await chosen()).toBe('stranger')
  })

  it('shows what was denied, where and why, and that it is no evidence', async () => {
    expect(await page.locator('.node.denied').textContent()).toContain('payments.refund')
    expect(await page.locator('.edge.claimed').count()).toBe(1)
    await page.getByRole('tab', { name: 'Denied 1' }).click()
    const list = await page.locator('#denials').textContent()
    for (const said of ['never evidence', 'payments.refund', 'ERR_KEST_DENIED', 'trust is below 60'])
      expect(list).toContain(said)
  })

  it('has of each entry what anybody can check it by: the hash, and the entry as it was signed', async () => {
    await page.locator('.node', { hasText: 'joined' }).click()
    const fields = new Map(
      await page
        .locator('#details dl')
        .last()
        .evaluate((list): [string, string][] =>
          Array.from({ length: list.children.length / 2 }, (_, i) => [
            list.children[2 * i]?.textContent ?? '',
            list.children[2 * i + 1]?.textContent ?? '',
          ]),
        ),
    )
    const hash = createHash('sha256')
      .update(String(fields.get('entry')))
      .digest('hex')
    expect(fields.get('hash')).toBe(hash)
    expect(String(fields.get('parents')).split('\n')).toHaveLength(2)
  })

  it('can be read by keyboard alone: to each of its parts, along the lineage, and closer', async () => {
    const stops: string[] = []
    for (const name of ['search', 'out', 'in', 'fit', 'theme', 'picture', 'details', 'tab']) {
      await page.keyboard.press('Tab')
      stops.push(await page.evaluate(FOCUSED))
      expect([name, await page.evaluate(RING)]).toEqual([name, true])
    }
    expect(stops).toEqual(['search', 'out', 'in', 'fit', 'theme', 'node failed', 'beside', 'tab-details'])

    for (let i = 0; i < 2; i++) await page.keyboard.press('Shift+Tab')
    await page.keyboard.press('Home')
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

  it('says aloud of each entry who, what, and whether it holds', async () => {
    const spoken = await page
      .locator('.node')
      .evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')))
    expect(spoken).toContainEqual(expect.stringMatching(/^stranger\. GET \/orders\/:id\. does not hold/))
    expect(await page.locator('.node').first().getAttribute('role')).toBe('button')
  })

  it('finds entries by anything that they say', async () => {
    await page.keyboard.press('/')
    await page.keyboard.type('joined')
    expect(await page.locator('#found').textContent()).toBe('1 of 6')
    expect(await page.locator('.node.found').count()).toBe(1)
    expect(await page.locator('#details').textContent()).toContain('joined')
    await page.keyboard.press('Escape')
    expect(await page.locator('.node.found').count()).toBe(0)
  })

  it('is light or dark, as its reader has it or wants it', async () => {
    const background = (): Promise<unknown> =>
      page.evaluate('getComputedStyle(document.body).backgroundColor')
    const light = await background()
    await page.emulateMedia({ colorScheme: 'dark' })
    const dark = await background()
    expect(dark).not.toBe(light)
    await page.locator('#theme').click()
    expect(await background()).toBe(light)
    await page.emulateMedia({ colorScheme: 'light' })
    await page.locator('#theme').click()
    expect(await background()).toBe(dark)
  })

  async function chosen(): Promise<string | null> {
    return await page.locator('#details h2').textContent()
  }

  async function viewBox(): Promise<number[]> {
    const box = await page.locator('#view svg').getAttribute('viewBox')
    return (box ?? '').split(' ').map(Number)
  }
})

/** What has the focus: its id, or its classes without those of the moment. */
const FOCUSED = `document.activeElement.id || [...document.activeElement.classList].slice(0, 2).join(' ')`
/** Whether that is to be seen. */
const RING = `(() => {
  const card = document.activeElement.querySelector('.card')
  return card ? parseFloat(getComputedStyle(card).strokeWidth) >= 3 : parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2
})()`

/** A fork that is joined again, an entry by somebody whom nobody knows, and a denial. */
function forkAndJoin(): string {
  const first = entryBy('gateway', [])
  const orders = entryBy('orders', [first])
  const payments = entryBy('payments', [first])
  const joined = entryBy('orders', [orders, payments], { operation: 'joined' })
  const refused = denied(entryBy('payments', [orders], { operation: 'payments.refund' }), 'trust is below 60')
  return `${exported(first, orders, payments, joined, entryBy('stranger', [joined]))}${refused}`
}
