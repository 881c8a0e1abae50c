import { rm } from 'node:fs/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launch, open } from './support/browser.js'
import { look } from './support/look.js'
import { type MadePage, makePage, traceOf } from './support/pages.js'

const SIZES = [3, 60, 1_000] as const
const WIDTHS = [320, 360, 768, 1280] as const
const SCHEMES = ['light', 'dark'] as const
const ALL = SIZES.flatMap((size) =>
  WIDTHS.flatMap((width) => SCHEMES.map((scheme) => ({ size, width, scheme }) as const)),
)
/** What is large takes its time: in each scheme once, as narrow as can be, and as wide. */
const LOOKS = ALL.filter(
  ({ size, width, scheme }) => size < 1_000 || width === (scheme === 'light' ? 320 : 1280),
)

describe('how the page of kest graph looks, in a real browser', () => {
  let browser: Browser
  const pages = new Map<number, MadePage>()

  beforeAll(async () => {
    browser = await launch()
    for (const size of SIZES) pages.set(size, await makePage(traceOf(size)))
  })

  afterAll(async () => {
    await browser?.close()
    for (const { folder } of pages.values()) await rm(folder, { recursive: true, force: true })
  })

  it.each(LOOKS)(
    'of $size cards at $width px, $scheme: nothing goes sideways, no text is below 9 px, contrast is that of WCAG AA',
    async ({ size, width, scheme }) => {
      const { page, complaints } = await open(browser, pages.get(size)?.url as string, { width, scheme })
      expect(await page.locator('.node').count()).toBe(size)
      expect(await look(page)).toEqual([])
      await page.locator('#fit').click()
      expect(await look(page)).toEqual([])
      for (const level of await nearer(page)) expect(level).toEqual([])
      for (const tab of size > 100 ? [] : await page.getByRole('tab').all()) {
        await tab.click()
        expect(await look(page)).toEqual([])
      }
      expect(complaints).toEqual([])
      await page.close()
    },
  )

  it.each([
    ['a contrast', "document.querySelector('.about p').style.color = '#9aa'", 'contrast 2'],
    ['a contrast in a card', "document.querySelector('.name').style.fill = '#9aa'", 'contrast 2'],
    ['a line that is too pale', "document.querySelector('.edge').style.stroke = '#ddd'", 'contrast 1'],
    ['a size', "document.querySelector('.legend').style.fontSize = '8px'", '8.00 px'],
    ['a size in a card', "document.querySelector('.line').style.fontSize = '8px'", '8.00 px'],
    ['what is too wide', "document.querySelector('h1').style.width = '2000px'", 'the page is'],
    [
      'what scrolls sideways',
      "document.querySelector('#details dd').style.whiteSpace = 'pre'; document.querySelector('#details dd').textContent = 'x'.repeat(999)",
      'scrolls sideways',
    ],
    [
      'cards in one place',
      "for (const one of document.querySelectorAll('.node')) one.setAttribute('transform', 'translate(0 0)')",
      'lies on another card',
    ],
    [
      'texts in one place',
      "document.querySelector('.line').setAttribute('y', 24); document.querySelector('.line').parentElement.setAttribute('clip-path', 'url(#clip-name)')",
      'lies on another text',
    ],
  ])('would be seen to be wrong by %s', async (_, change, complaint) => {
    const { page } = await open(browser, pages.get(3)?.url as string)
    await page.evaluate(`void (() => { ${change} })()`)
    expect((await look(page)).join('\n')).toContain(complaint)
    await page.close()
  })

  it('of 60 cards has the name of each from afar, and everything from near', async () => {
    const { page } = await open(browser, pages.get(60)?.url as string)
    const shown = async (what: string): Promise<number> =>
      await page.locator(what).filter({ visible: true }).count()
    await page.locator('#fit').click()
    expect([await shown('.name'), await shown('.line'), await shown('.badge')]).toEqual([60, 0, 0])
    for (const name of await page.locator('.name').allTextContents()) expect(name.length).toBeGreaterThan(4)
    while ((await page.locator('svg.lineage.near').count()) === 0) await page.locator('#in').click()
    expect(await shown('.name')).toBe(60)
    expect(await shown('.badge')).toBeGreaterThan(60)
    await page.close()
  })

  it('says by colour, shape and word how far each entry is to be trusted, and explains each in a legend', async () => {
    const { page } = await open(browser, pages.get(60)?.url as string)
    const legend = await page.locator('.legend li').allTextContents()
    for (const one of [
      'verified',
      'does not hold',
      'never exported',
      'signed, its lineage not proven',
      'tainted',
    ])
      expect(legend).toContain(one)
    for (const [level, text] of [
      ['high', 'trust 80–100'],
      ['medium', 'trust 40–79'],
      ['low', 'trust 1–39'],
      ['none', 'trust 0'],
      ['unproven', 'trust not proven'],
    ] as const) {
      expect(legend).toContain(text)
      expect(await page.locator(`.node.${level}`).count()).toBeGreaterThan(0)
    }
    expect(
      await page.evaluate(
        "new Set([...document.querySelectorAll('.stripe')].map((one) => getComputedStyle(one).fill)).size",
      ),
    ).toBeGreaterThanOrEqual(6)
    expect(await page.locator('.node.none .badge').first().textContent()).toBe('trust 0')
    expect(await page.locator('.node .badge.tainted').first().textContent()).toContain('taint')
    await page.close()
  })

  it('is for paper in dark letters on white, with all lists and no tools', async () => {
    const { page } = await open(browser, pages.get(60)?.url as string, { scheme: 'dark' })
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)')
    await page.evaluate("void dispatchEvent(new Event('beforeprint'))")
    const box = async (): Promise<unknown> => await page.locator('svg.lineage').getAttribute('viewBox')
    expect(await box()).toMatch(/^0 0 \d+(\.\d+)? \d+(\.\d+)?$/)
    const whole = await box()
    for (const seen of ['.verdict', 'svg.lineage', '.legend', '#details', '#findings', '#denials'])
      expect([seen, await page.locator(seen).isVisible()]).toEqual([seen, true])
    for (const hidden of ['.tools', '.tabs']) expect(await page.locator(hidden).isVisible()).toBe(false)
    await page.emulateMedia({ media: 'screen' })
    await page.evaluate("void dispatchEvent(new Event('afterprint'))")
    expect(await box()).not.toBe(whole)
    await page.close()
  })
})

/** Zooms in until everything is shown, and looks whenever more is than before. */
async function nearer(page: Page): Promise<readonly (readonly string[])[]> {
  const seen: (readonly string[])[] = []
  const level = async (): Promise<string | null> => await page.locator('svg.lineage').getAttribute('class')
  for (let last = await level(); !last?.includes('near'); ) {
    await page.locator('#in').click()
    const next = await level()
    if (next !== last) seen.push(await look(page))
    last = next
  }
  return seen
}
