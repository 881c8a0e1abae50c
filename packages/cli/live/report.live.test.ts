import { rm } from 'node:fs/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { otlpLine } from '../../audit/dist/testing/make-span.js'
import { DEFECTS, soundTrace, Workloads } from '../../audit/dist/testing/plant.js'
import { launch, open } from './support/browser.js'
import { hostile, TEXTS } from './support/hostile.js'
import { lookAtReport } from './support/look-report.js'
import { type MadePage, makeReport } from './support/pages.js'

describe('the page that kest audit --html makes, in a real browser', () => {
  let browser: Browser
  let planted: MadePage
  let strange: MadePage

  beforeAll(async () => {
    browser = await launch()
    planted = await makePlanted()
    strange = await makeReport(hostile())
  })

  afterAll(async () => {
    await browser?.close()
    for (const made of [planted, strange])
      if (made !== undefined) await rm(made.folder, { recursive: true, force: true })
  })

  it.each(
    [320, 360, 768, 1280].flatMap((width) =>
      (['light', 'dark'] as const).map((scheme) => ({ width, scheme })),
    ),
  )(
    'at $width px, $scheme: nothing but the map goes sideways, no text is below 9 px, contrast is that of WCAG AA',
    async ({ width, scheme }) => {
      for (const [{ url }, within] of [
        [planted, '.map'],
        // Columns of glyphs that are as wide as a line.
        [strange, '.map, .table'],
      ] as const) {
        const { page, complaints } = await open(browser, url, { width, scheme })
        await openAll(page)
        expect(await lookAtReport(page, width < 860 ? '.map' : within)).toEqual([])
        expect(complaints).toEqual([])
        await page.close()
      }
    },
  )

  it('shows verdicts, findings by kind, a map of services, a timeline, refusals and what is not proven, each with a heading', async () => {
    const { page } = await open(browser, planted.url)
    for (const name of [
      'Verdicts',
      'What is not proven, and why',
      'Findings',
      'Map of services',
      'Timeline',
      'Refused',
    ])
      expect(await page.getByRole('region', { name, exact: true }).count()).toBe(1)
    for (const role of ['banner', 'navigation', 'main', 'contentinfo'] as const)
      expect([role, await page.getByRole(role).count()]).toEqual([role, 1])
    expect(await page.locator('.services.wide .service').count()).toBeGreaterThanOrEqual(3)
    expect(await page.locator('.chart.wide .part').count()).toBeGreaterThan(1)
    expect(
      await page.getByRole('table', { name: 'Calls between services' }).getByRole('row').count(),
    ).toBeGreaterThan(2)
    await page.close()
  })

  it('is a table still where a narrow screen has each row as a list', async () => {
    const { page } = await open(browser, planted.url, { width: 360 })
    const table = page.getByRole('table', { name: 'Services', exact: true })
    expect(await table.getByRole('columnheader').count()).toBe(7)
    expect(await table.getByRole('rowheader').count()).toBeGreaterThanOrEqual(3)
    await page.close()
  })

  it('leads by keyboard from a finding to the page of its trace, and back to where one was', async () => {
    const { page, complaints } = await open(browser, planted.url)
    await page.locator('#unproven a[href="#finding-broken"]').focus()
    await page.keyboard.press('Enter')
    await page.locator('#finding-broken[open]').waitFor()
    await expect.poll(() => focused(page)).toContain('<summary>')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.frameLocator('#trace iframe').locator('.node.failed').first().waitFor()
    expect(await focused(page)).toContain('id="h-trace"')
    expect(await page.locator('#report').isVisible()).toBe(false)
    await page.keyboard.press('Escape')
    await expect.poll(() => page.locator('#report').isVisible()).toBe(true)
    expect(await page.locator('#trace').isVisible()).toBe(false)
    expect(complaints).toEqual([])
    await page.close()
  })

  it('closes the page of a trace from within, has it in the same colours, and opens it by its address', async () => {
    const { page } = await open(browser, planted.url)
    await page.locator('#theme').click()
    await page.locator('#theme').click()
    await page.locator('#verdicts td a').first().click()
    const frame = page.frameLocator('#trace iframe')
    await frame.locator('.node').first().waitFor()
    await expect.poll(() => frame.locator('html').getAttribute('data-theme')).toBe('dark')
    const address = page.url()
    await frame.locator('.node').first().press('Escape')
    await expect.poll(() => page.locator('#report').isVisible()).toBe(true)
    await page.close()
    const again = await open(browser, address)
    await again.page.frameLocator('#trace iframe').locator('.node').first().waitFor()
    await again.page.locator('#back').click()
    await expect.poll(() => again.page.locator('#report').isVisible()).toBe(true)
    await again.page.close()
  })

  it('filters rows and findings', async () => {
    const { page } = await open(browser, planted.url)
    await page.locator('#filter').fill('entry-id-repeated')
    expect(await page.locator('.kind').filter({ visible: true }).count()).toBe(1)
    expect(await page.locator('#found').textContent()).toMatch(/^1 of \d+$/)
    await page.locator('#filter').fill('')
    expect(await page.locator('.kind').filter({ visible: true }).count()).toBeGreaterThan(10)
    await page.close()
  })

  it('moves nothing by itself where its reader wants none of that', async () => {
    const { page } = await open(browser, planted.url)
    const behavior = (): Promise<unknown> =>
      page.evaluate('getComputedStyle(document.documentElement).scrollBehavior')
    expect(await behavior()).toBe('smooth')
    await page.emulateMedia({ reducedMotion: 'reduce' })
    expect(await behavior()).toBe('auto')
    await page.close()
  })

  it('runs nothing that strangers wrote, also in the pages of traces, and asks nobody for anything', async () => {
    const { page, requests, complaints } = await open(browser, strange.url)
    await openAll(page)
    expect(await page.evaluate(ADDED)).toEqual([])
    const links = await page
      .locator('a[href^="#page-"]')
      .evaluateAll((all) => all.map((one) => one.getAttribute('href')))
    expect(links.length).toBeGreaterThan(2)
    for (const link of new Set(links)) {
      await page.evaluate(`location.hash = ${JSON.stringify(link)}`)
      await page.frameLocator('#trace iframe').locator('.node').first().waitFor()
      expect(await page.evaluate('document.querySelector("iframe").contentWindow.hacked')).toBeUndefined()
      await page.evaluate('location.hash = ""')
      await expect.poll(() => page.locator('#report').isVisible()).toBe(true)
    }
    expect(await page.evaluate('globalThis.hacked')).toBeUndefined()
    expect(requests.filter((one) => !one.startsWith(strange.url) && one !== 'about:srcdoc')).toEqual([])
    expect(complaints).toEqual([])
    await page.close()
  })

  it('shows texts as they are, and what does not show as what it is', async () => {
    const { page } = await open(browser, strange.url)
    const refused = await page.locator('#refused').textContent()
    expect(refused).toContain(TEXTS['svg'])
    expect(refused).toContain('\\u{0}\\u{1b}[2J\\u{2028}')
    await page.close()
  })

  it('lets nothing be fetched, and no text become markup or code', async () => {
    const { page, complaints } = await open(browser, strange.url)
    for (const what of [
      "fetch('http://127.0.0.1:9/')",
      "import('data:text/javascript,1')",
      'document.body.insertAdjacentHTML("beforeend", "<b>x</b>")',
      '(document.querySelector("iframe") ?? document.createElement("iframe")).srcdoc = "x"',
    ]) {
      const script = `(async () => { try { await (${what}); return 'done' } catch { return 'refused' } })()`
      expect([what, await page.evaluate(script)]).toEqual([what, 'refused'])
    }
    expect(complaints.join()).toContain('Content Security Policy')
    await page.close()
  })
})

/** Elements that the page has none of, and attributes that run or load something, or lead away. */
const ADDED = `[...document.querySelectorAll('*')].filter((element) =>
  /^(img|iframe|object|embed|link|base|form|video|audio|foreignObject|image|use|animate|set)$/i.test(element.tagName)
  || (/^(script|style)$/i.test(element.tagName) && ![...document.querySelectorAll('head > style, body > script')].slice(0, 2).includes(element))
  || element.getAttributeNames().some((name) => /^on|^src|^style$/.test(name) || (name === 'href' && !element.getAttribute(name).startsWith('#')))
).map((element) => element.outerHTML.slice(0, 80))`

async function openAll(page: Page): Promise<void> {
  await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
}

async function focused(page: Page): Promise<string> {
  return (await page.evaluate('document.activeElement.outerHTML.slice(0, 80)')) as string
}

/** Some of every defect that an audit finds, among sound traces. */
async function makePlanted(): Promise<MadePage> {
  const workloads = new Workloads()
  const spans = [
    ...Array.from({ length: 40 }, () => soundTrace(workloads)),
    ...Object.values(DEFECTS).map((defect, n) => defect(workloads, n)),
  ].flatMap((trace) => trace.spans)
  const lines = spans.map(({ service, span }) => `${otlpLine(service, [span])}\n`)
  return await makeReport(lines.join(''), workloads.keys())
}
