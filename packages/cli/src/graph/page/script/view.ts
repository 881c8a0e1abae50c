/** What part of the picture is seen, and at which size: zoom, pan, and all of it at once. */
export const VIEW: string = String.raw`
const view = document.getElementById('view')
const svg = view.querySelector('svg')
const nodes = [...svg.querySelectorAll('.node')]
const full = { width: svg.viewBox.baseVal.width, height: svg.viewBox.baseVal.height }
const cards = nodes.map((node) => {
  const [x, y] = node.getAttribute('transform').match(/-?[\d.]+/g).map(Number)
  return { x, y }
})
const card = { width: data.card[0], height: data.card[1] }
/* Where the picture's centre of view is, and pixels for each of its units. */
let printing = false
let at = { x: full.width / 2, y: full.height / 2, scale: 1 }

svg.removeAttribute('width')
svg.removeAttribute('height')
document.documentElement.classList.add('live')

const pane = () => ({ width: view.clientWidth || 1, height: view.clientHeight || 1 })
const wholeScale = () => Math.min(1, pane().width / full.width, pane().height / full.height)
function show() {
  if (printing) return
  const { width, height } = pane()
  const [w, h] = [width / at.scale, height / at.scale]
  svg.setAttribute('viewBox', [at.x - w / 2, at.y - h / 2, w, h].map((one) => one.toFixed(2)).join(' '))
  showTexts(at.scale)
}
function zoom(factor, x = at.x, y = at.y) {
  const scale = Math.min(2, Math.max(wholeScale() / 2, at.scale * factor))
  const kept = at.scale / scale
  at = { x: x - (x - at.x) * kept, y: y - (y - at.y) * kept, scale }
  show()
}
function fit() { at = { x: full.width / 2, y: full.height / 2, scale: wholeScale() }; show() }
/* Pixels across a sheet of paper. */
const PAPER = 680
/* Names have room for most of their letters. */
const EASY = 0.35
/* All of it where names can still be read; else around one card, as high up as there is something above it. */
function start(index) {
  fit()
  if (at.scale >= EASY || nodes.length === 0) return
  at.scale = Math.max(EASY, Math.min(0.5, pane().width / (card.width * 3)))
  const { x, y } = cards[index]
  const half = (length) => length / at.scale / 2
  const within = (value, side) => {
    const room = half(pane()[side])
    return full[side] <= 2 * room ? full[side] / 2 : Math.min(full[side] - room, Math.max(room, value))
  }
  at = { ...at, x: within(x + card.width / 2, 'width'), y: within(y + card.height / 2, 'height') }
  show()
}
function reveal(index) {
  const { x, y } = cards[index]
  const [w, h] = [pane().width / at.scale / 2, pane().height / at.scale / 2]
  if (x >= at.x - w && y >= at.y - h && x + card.width <= at.x + w && y + card.height <= at.y + h) return
  at = { ...at, x: x + card.width / 2, y: y + card.height / 2 }
  show()
}

const pointers = new Map()
const spread = () => {
  const [a, b] = [...pointers.values()]
  return b === undefined ? { x: a.x, y: a.y, d: 0 } : { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, d: Math.hypot(a.x - b.x, a.y - b.y) }
}
const unitsAt = (x, y) => {
  const box = view.getBoundingClientRect()
  return { x: at.x + (x - box.left - box.width / 2) / at.scale, y: at.y + (y - box.top - box.height / 2) / at.scale }
}
view.addEventListener('pointerdown', (event) => { pointers.set(event.pointerId, { x: event.clientX, y: event.clientY }) })
view.addEventListener('pointermove', (event) => {
  if (!pointers.has(event.pointerId)) return
  if (event.buttons === 0) { pointers.delete(event.pointerId); return }
  const before = spread()
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY })
  const after = spread()
  at = { ...at, x: at.x + (before.x - after.x) / at.scale, y: at.y + (before.y - after.y) / at.scale }
  const { x, y } = unitsAt(after.x, after.y)
  if (before.d > 0 && after.d > 0) zoom(after.d / before.d, x, y)
  else show()
})
for (const type of ['pointerup', 'pointercancel', 'pointerleave']) view.addEventListener(type, (event) => pointers.delete(event.pointerId))
view.addEventListener('wheel', (event) => {
  /* Where the page itself scrolls, the wheel is for that. */
  const scrolls = document.documentElement.scrollHeight > document.documentElement.clientHeight
  if (scrolls && !event.ctrlKey) return
  event.preventDefault()
  const { x, y } = unitsAt(event.clientX, event.clientY)
  zoom(event.deltaY > 0 ? 1 / 1.15 : 1.15, x, y)
}, { passive: false })
document.getElementById('in').addEventListener('click', () => zoom(1.25))
document.getElementById('out').addEventListener('click', () => zoom(1 / 1.25))
document.getElementById('fit').addEventListener('click', fit)
new ResizeObserver(show).observe(view)
/* On paper there is all of it, as wide as the paper. */
addEventListener('beforeprint', () => {
  printing = true
  svg.setAttribute('viewBox', '0 0 ' + full.width + ' ' + full.height)
  showTexts(Math.min(1, PAPER / full.width))
})
addEventListener('afterprint', () => { printing = false; show() })
`
