import type { Page } from 'playwright-core'
import { MEASURE } from './measure.js'

/**
 * What is wrong with the page of a report as it is drawn: something but its map is wider than the screen, a text is smaller than nine
 * pixels, or contrast is less than that of WCAG AA. Measured on what the browser computed; what is hidden is not seen.
 *
 * @param within what scrolls sideways in itself, as a selector
 */
export async function lookAtReport(page: Page, within = '.map'): Promise<readonly string[]> {
  return (await page.evaluate(`(${LOOK})(${JSON.stringify(within)})`)) as string[]
}

const LOOK = `(within) => {
const wrong = []
const say = (what, element) => wrong.push(what + ': <' + element.tagName + ' class="' + element.getAttribute('class') + '"> ' + element.textContent.slice(0, 40))
const visible = (element) => element.checkVisibility({ visibilityProperty: true }) && element.closest('thead')?.offsetWidth !== 1
${MEASURE}
const drawn = (element) => element.ownerSVGElement != null
const scaleOf = (element) => drawn(element) ? element.ownerSVGElement.getScreenCTM().a : 1
if (document.documentElement.scrollWidth > innerWidth) say('the page is ' + document.documentElement.scrollWidth + ' wide', document.body)
for (const element of document.body.querySelectorAll('*')) {
  if (element.closest(within + ', .skip, template, iframe') || drawn(element) || !visible(element)) continue
  const { left, right, width } = element.getBoundingClientRect()
  if (width > 0 && (left < -0.5 || right > innerWidth + 0.5)) say('reaches beyond the screen', element)
  if (['auto', 'scroll'].includes(getComputedStyle(element).overflowX) && element.scrollWidth > element.clientWidth) say('scrolls sideways', element)
}
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement
  if (texts.currentNode.data.trim() === '' || ['SCRIPT', 'STYLE', 'title'].includes(element.tagName) || !visible(element)) continue
  const style = getComputedStyle(element)
  const size = parseFloat(style.fontSize) * scaleOf(element)
  if (size < 9) say(size.toFixed(2) + ' px', element)
  const behind = drawn(element) ? element.parentElement.querySelector('.card, .label') : null
  least(4.5, drawn(element) ? style.fill : style.color, behind ? getComputedStyle(behind).fill : background(drawn(element) ? element.ownerSVGElement.parentElement : element), element)
}
for (const part of document.querySelectorAll('.part, .stripe, .way')) {
  if (!visible(part.ownerSVGElement)) continue
  const style = getComputedStyle(part)
  least(3, part.matches('.way') ? style.stroke : style.fill, background(part.ownerSVGElement.parentElement), part)
}
return wrong.slice(0, 20)
}`
