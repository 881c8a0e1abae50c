/**
 * Nothing is written that is too small to read: from afar only names, as many letters as fit; from farther only cards. Sizes are those on
 * the screen.
 */
export const TEXTS: string = `
/* Below, the smallest text of a card has less than nine pixels; below, a name has no room for a few letters. */
const CARDS_FROM = 0.83
const NAMES_FROM = 0.2
const NAME_SIZE = 10.5
const pen = document.createElement('canvas').getContext('2d')
pen.font = '400 ' + NAME_SIZE + 'px system-ui, sans-serif'
const splitter = new Intl.Segmenter('en', { granularity: 'grapheme' })
const widths = new Map()

function shortened(text, width) {
  const key = width + ' ' + text
  const known = widths.get(key)
  if (known !== undefined) return known
  const letters = [...splitter.segment(text.slice(0, 400))].map(({ segment }) => segment)
  const fromEnd = text.includes('/')
  let kept = letters
  for (let low = 0, high = letters.length; low <= high;) {
    const middle = (low + high) >> 1
    kept = fromEnd ? letters.slice(letters.length - middle) : letters.slice(0, middle)
    const whole = middle === letters.length
    if (pen.measureText(kept.join('') + (whole ? '' : '…')).width <= width) low = middle + 1
    else high = middle - 1
    if (low > high) {
      const count = Math.max(0, high)
      kept = count === letters.length ? letters : fromEnd ? ['…', ...letters.slice(letters.length - count)] : [...letters.slice(0, count), '…']
    }
  }
  const result = kept.join('')
  if (widths.size > 5000) widths.clear()
  widths.set(key, result)
  return result
}

const names = nodes.map((node) => node.querySelector('.name'))
const asDrawn = names.map((name) => name.textContent)
let level = ''
let room = 0
function showTexts(scale) {
  const next = scale >= CARDS_FROM ? 'near' : scale >= NAMES_FROM ? 'names' : 'far'
  svg.style.setProperty('--unit', String(1 / scale))
  const width = Math.floor((card.width - 26) * scale / 4) * 4
  if (next === level && (next !== 'names' || width === room)) return
  if (next !== level) { svg.classList.remove('near', 'names', 'far'); svg.classList.add(next) }
  level = next
  room = width
  names.forEach((name, index) => { name.textContent = next === 'names' ? shortened(data.nodes[index].title, width) : asDrawn[index] })
}
`
