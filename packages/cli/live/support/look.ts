import type { Page } from 'playwright-core'
import { MEASURE } from './measure.js'

/**
 * What is wrong with a page as it is drawn: something is wider than the screen, a text is smaller than nine pixels, or its contrast is
 * less than 4.5 to 1 (WCAG AA; of signs and lines 3 to 1), texts of a card lie on each other, or cards do. Measured on what the browser
 * computed; what is hidden is not seen.
 */
export async function look(page: Page): Promise<readonly string[]> {
  return (await page.evaluate(LOOK)) as string[]
}

const LOOK = String.raw`(() => {
const wrong = []
const say = (what, element) => wrong.push(what + ': <' + element.tagName + ' class="' + element.getAttribute('class') + '"> ' + element.textContent.slice(0, 40))
const svg = document.querySelector('svg.lineage')
const scale = svg.getScreenCTM().a
/* checkVisibility() takes the content of a group that is not displayed for visible. */
const visible = (element) => element.checkVisibility({ visibilityProperty: true }) && !(element.closest('svg') && hiddenGroup(element))
const hiddenGroup = (element) => element !== null && (getComputedStyle(element).display === 'none' || hiddenGroup(element.parentElement))

${MEASURE}
const fillOf = (element) => getComputedStyle(element).fill

/* Nothing goes sideways. */
if (document.documentElement.scrollWidth > innerWidth) say('the page is ' + document.documentElement.scrollWidth + ' wide', document.body)
for (const element of document.body.querySelectorAll('*')) {
  if (element.closest('svg.lineage') || !visible(element)) continue
  const { left, right, width } = element.getBoundingClientRect()
  if (width > 0 && (left < -0.5 || right > innerWidth + 0.5)) say('reaches beyond the screen', element)
  const { overflowX, opacity } = getComputedStyle(element)
  if (['auto', 'scroll'].includes(overflowX) && element.scrollWidth > element.clientWidth) say('scrolls sideways', element)
  if (opacity !== '1') say('lets others through', element)
}

/* Every text can be read. */
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement
  if (texts.currentNode.data.trim() === '' || ['SCRIPT', 'STYLE', 'title'].includes(element.tagName) || !visible(element)) continue
  const style = getComputedStyle(element)
  const within = element.closest('svg.lineage')
  const size = parseFloat(style.fontSize) * (within ? scale : 1)
  if (size < 9) say(size.toFixed(2) + ' px', element)
  if (!within) { least(4.5, style.color, background(element), element); continue }
  const badge = element.closest('.badge')
  const behind = badge ? badge.querySelector('rect') : element.closest('.node').querySelector('.card')
  least(4.5, style.fill, fillOf(behind), element)
}
const placeholder = getComputedStyle(document.getElementById('search'), '::placeholder')
least(4.5, placeholder.color, background(document.getElementById('search')), document.getElementById('search'))

/* So can signs and lines. */
const ground = background(document.getElementById('view'))
for (const edge of document.querySelectorAll('.edge')) least(3, getComputedStyle(edge).stroke, ground, edge)
for (const mark of document.querySelectorAll('.mark')) if (visible(mark)) {
  least(3, getComputedStyle(mark.querySelector('path')).stroke, fillOf(mark.querySelector('circle')), mark)
}
for (const node of document.querySelectorAll('.node')) {
  const card = node.querySelector('.card')
  if (!visible(card)) say('hidden', card)
  for (const stripe of node.querySelectorAll('.stripe')) if (!(svg.classList.contains('far') && node.matches('.failed'))) least(3, fillOf(stripe), fillOf(card), stripe)
}
for (const chosen of document.querySelectorAll('.chosen .card')) least(3, getComputedStyle(chosen).stroke, ground, chosen)

/* Nothing lies on something else: what a clip lets through of each text, and cards. */
const boxes = [...document.querySelectorAll('.node .card')].map((card) => ({ card, box: card.getBoundingClientRect() }))
const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5
boxes.forEach(({ card, box }, i) => { if (boxes.slice(i + 1).some((other) => overlap(box, other.box))) say('lies on another card', card) })
for (const { card, box } of boxes) {
  const node = card.parentElement
  const own = [...node.querySelectorAll('.texts text, .badge')].filter(visible)
  const shown = own.map((text) => {
    const clip = text.closest('[clip-path]')
    const id = getComputedStyle(clip).clipPath.match(/#([\w-]+)/)[1]
    const rect = document.getElementById(id).querySelector('rect')
    const matrix = node.getScreenCTM()
    const at = new DOMPoint(rect.x.baseVal.value, rect.y.baseVal.value).matrixTransform(matrix)
    const limit = { left: at.x, top: at.y, right: at.x + rect.width.baseVal.value * matrix.a, bottom: at.y + rect.height.baseVal.value * matrix.d }
    const whole = text.getBoundingClientRect()
    return { left: Math.max(whole.left, limit.left), top: Math.max(whole.top, limit.top), right: Math.min(whole.right, limit.right), bottom: Math.min(whole.bottom, limit.bottom) }
  })
  shown.forEach((one, i) => {
    if (one.left < box.left - 0.5 || one.right > box.right + 0.5 || one.top < box.top - 0.5 || one.bottom > box.bottom + 0.5) say('reaches beyond its card', own[i])
    if (shown.slice(i + 1).some((other) => overlap(one, other))) say('lies on another text', own[i])
  })
  for (const badge of node.querySelectorAll('.badge')) if (visible(badge)) {
    const rect = badge.querySelector('rect').getBoundingClientRect()
    if (!(badge.querySelector('text').getBoundingClientRect().right <= rect.right) && rect.right < box.right - 14 * scale) say('is wider than its badge', badge)
  }
}
return wrong.slice(0, 20)
})()`
