import { rm } from 'node:fs/promises'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launch, open } from './support/browser.js'
import { hostile, TEXTS } from './support/hostile.js'
import { look } from './support/look.js'
import { type MadePage, makePage } from './support/pages.js'

describe('the page of kest graph, of what strangers wrote', () => {
  let browser: Browser
  let made: MadePage

  beforeAll(async () => {
    browser = await launch()
    made = await makePage(hostile())
  })

  afterAll(async () => {
    await browser?.close()
    if (made !== undefined) await rm(made.folder, { recursive: true, force: true })
  })

  it.each([320, 1280])(
    'runs none of it, asks nobody for anything, and is drawn as ever, at %i px',
    async (width) => {
      const { page, requests, complaints } = await open(browser, made.url, { width })
      expect(await page.locator('.node').count()).toBe(3 * Object.keys(TEXTS).length + 1)
      for (let i = 0; i < (await page.locator('.node').count()); i++) {
        await page.evaluate(`go(${i})`)
        expect(await page.locator('#details dd').count()).toBeGreaterThan(3)
        if (i % 8 === 0) expect(await look(page)).toEqual([])
      }
      for (const tab of await page.getByRole('tab').all()) {
        await tab.click()
        expect(await look(page)).toEqual([])
      }
      await page.locator('#search').fill(TEXTS['markup'] as string)
      expect(await page.locator('#found').textContent()).not.toMatch(/^0/)
      expect(await page.evaluate('globalThis.hacked')).toBeUndefined()
      expect(await page.evaluate(ADDED)).toEqual([])
      expect(requests).toEqual([made.url])
      expect(complaints).toEqual([])
      await page.close()
    },
  )

  it('shows texts as they are, and what does not show as what it is', async () => {
    const { page } = await open(browser, made.url)
    await page.locator('#search').fill(TEXTS['svg'] as string)
    expect(await page.locator('#details').textContent()).toContain(TEXTS['svg'])
    await page.locator('#search').fill('\\u{1b}[2J')
    expect(await page.locator('#details').textContent()).toContain('\\u{0}\\u{1b}[2J\\u{2028}')
    await page.close()
  })

  it('lets nothing be fetched, no form be sent, and no text become markup or code', async () => {
    const { page, complaints } = await open(browser, made.url)
    const refused = (what: string): Promise<unknown> =>
      page.evaluate(
        `(async () => { try { await ${what}; return 'done' } catch (error) { return 'refused' } })()`,
      )
    for (const what of [
      "fetch('http://127.0.0.1:9/')",
      "import('data:text/javascript,1')",
      'document.body.insertAdjacentHTML("beforeend", "<b>x</b>")',
      '(document.body.innerHTML = "x")',
      "new Worker('data:text/javascript,1')",
      "Promise.reject(trustedTypes.createPolicy('x', {}))",
    ])
      expect([what, await refused(what)]).toEqual([what, 'refused'])
    expect(complaints.join()).toContain('Content Security Policy')
    await page.close()
  })
})

/** Elements that the page has none of, beside its two scripts and its style; and attributes that run or load something. */
const ADDED = `[...document.querySelectorAll('*')].filter((element) =>
  /^(img|iframe|object|embed|link|base|form|a|video|audio|foreignObject|image|use|animate|set)$/i.test(element.tagName)
  || (/^(script|style)$/i.test(element.tagName) && ![...document.querySelectorAll('head > style, body > script')].slice(0, 3).includes(element))
  || element.getAttributeNames().some((name) => /^on|^href$|^src/.test(name) || (name === 'style' && !element.matches('svg.lineage')))
).map((element) => element.outerHTML.slice(0, 80))`
