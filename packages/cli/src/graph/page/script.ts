/**
 * What the page does: zoom and pan, search, details, light and dark; all of it by keyboard, too. It is given to the browser
 * as it stands here. Texts are set as text, never as markup.
 */
export const PAGE_SCRIPT = `'use strict'
const data = JSON.parse(document.getElementById('data').textContent)
const view = document.getElementById('view')
const svg = view.querySelector('svg')
const nodes = [...svg.querySelectorAll('.node')]
const search = document.getElementById('search')
const found = document.getElementById('found')
const whole = svg.viewBox.baseVal
const full = { x: whole.x, y: whole.y, width: whole.width, height: whole.height }
let box = { ...full }

svg.removeAttribute('width')
svg.removeAttribute('height')
document.documentElement.classList.add('live')

const show = () => svg.setAttribute('viewBox', [box.x, box.y, box.width, box.height].join(' '))
function zoom(factor, x = box.x + box.width / 2, y = box.y + box.height / 2) {
  const width = Math.min(full.width * 4, Math.max(120, box.width * factor))
  const scale = width / box.width
  box = { x: x - (x - box.x) * scale, y: y - (y - box.y) * scale, width, height: box.height * scale }
  show()
}
function fit() { box = { ...full }; show() }
function pointAt(event) {
  return new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse())
}
function reveal(node) {
  const [, x, y] = /translate\\(([-\\d.]+) ([-\\d.]+)\\)/.exec(node.getAttribute('transform')).map(Number)
  const { width, height } = node.getBBox()
  const inside = x >= box.x && y >= box.y && x + width <= box.x + box.width && y + height <= box.y + box.height
  if (!inside) { box = { ...box, x: x + width / 2 - box.width / 2, y: y + height / 2 - box.height / 2 }; show() }
}

const details = document.getElementById('details')
function choose(node) {
  for (const other of nodes) { other.classList.toggle('chosen', other === node); other.tabIndex = other === node ? 0 : -1 }
  const { title, details: fields } = data.nodes[Number(node.dataset.node)]
  const heading = document.createElement('h2')
  heading.textContent = title
  const list = document.createElement('dl')
  for (const [label, value] of fields) {
    const dt = document.createElement('dt')
    const dd = document.createElement('dd')
    dt.textContent = label
    dd.textContent = value
    list.append(dt, dd)
  }
  details.replaceChildren(heading, list)
}
function go(node) { if (node) { node.focus({ preventScroll: true }); choose(node); reveal(node) } }

const parents = (index) => data.edges.filter(([, child]) => child === index).map(([parent]) => parent)
const children = (index) => data.edges.filter(([parent]) => parent === index).map(([, child]) => child)
function beside(index, step) {
  const row = parents(index).flatMap(children)
  const all = [...new Set(row.length === 0 ? nodes.map((_, i) => i).filter((i) => parents(i).length === 0) : row)].sort((a, b) => a - b)
  return all[all.indexOf(index) + step]
}

for (const node of nodes) {
  node.tabIndex = node === nodes[0] ? 0 : -1
  node.setAttribute('role', 'button')
  node.addEventListener('click', () => go(node))
  node.addEventListener('keydown', (event) => {
    const index = Number(node.dataset.node)
    const next = { ArrowUp: () => parents(index)[0], ArrowDown: () => children(index)[0], ArrowLeft: () => beside(index, -1), ArrowRight: () => beside(index, 1), Home: () => 0, End: () => nodes.length - 1 }[event.key]
    if (next) { event.preventDefault(); go(nodes[next()]) }
    else if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); choose(node) }
  })
}

function matches() {
  const text = search.value.trim().toLowerCase()
  svg.classList.toggle('searching', text !== '')
  const hits = nodes.filter((node) => {
    const { title, lines, details: fields } = data.nodes[Number(node.dataset.node)]
    const hit = text !== '' && [title, ...lines, ...fields.map(([, value]) => value)].some((one) => one.toLowerCase().includes(text))
    node.classList.toggle('found', hit)
    return hit
  })
  found.textContent = text === '' ? '' : hits.length + ' of ' + nodes.length
  return hits
}
search.addEventListener('input', () => { const [first] = matches(); if (first) { choose(first); reveal(first) } })
search.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') { search.value = ''; matches() }
  if (event.key !== 'Enter') return
  const hits = matches()
  const chosen = hits.findIndex((node) => node.classList.contains('chosen'))
  const next = hits[(chosen + (event.shiftKey ? hits.length - 1 : 1)) % hits.length]
  if (next) { choose(next); reveal(next) }
})

view.addEventListener('wheel', (event) => {
  event.preventDefault()
  const { x, y } = pointAt(event)
  zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, x, y)
}, { passive: false })
let from = null
view.addEventListener('pointerdown', (event) => { from = pointAt(event) })
view.addEventListener('pointermove', (event) => {
  if (!from || event.buttons === 0) return
  const to = pointAt(event)
  box = { ...box, x: box.x + from.x - to.x, y: box.y + from.y - to.y }
  show()
})
view.addEventListener('pointerup', () => { from = null })

const themes = ['auto', 'light', 'dark']
const theme = document.getElementById('theme')
theme.addEventListener('click', () => {
  const next = themes[(themes.indexOf(document.documentElement.dataset.theme ?? 'auto') + 1) % themes.length]
  document.documentElement.dataset.theme = next
  theme.textContent = 'Colours: ' + next
})
document.getElementById('in').addEventListener('click', () => zoom(1 / 1.25))
document.getElementById('out').addEventListener('click', () => zoom(1.25))
document.getElementById('fit').addEventListener('click', fit)
document.addEventListener('keydown', (event) => {
  if (event.target === search || event.ctrlKey || event.metaKey || event.altKey) return
  if (event.key === '/') { event.preventDefault(); search.focus() }
  if (event.key === '+' || event.key === '=') zoom(1 / 1.25)
  if (event.key === '-') zoom(1.25)
  if (event.key === '0') fit()
})
if (nodes[0]) choose(nodes[0])
`
