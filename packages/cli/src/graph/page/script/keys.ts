/** All of it by keyboard: into the picture, along the lineage, closer, and to what is looked for. */
export const KEYS: string = String.raw`
function beside(index, step) {
  const row = parents[index].flatMap((parent) => children[parent])
  const some = row.length === 0 ? nodes.map((_, i) => i).filter((i) => parents[i].length === 0) : row
  const all = [...new Set(some)].sort((a, b) => cards[a].y - cards[b].y || cards[a].x - cards[b].x)
  return all[all.indexOf(index) + step]
}
nodes.forEach((node, index) => {
  node.setAttribute('role', 'button')
  node.addEventListener('click', () => go(index))
  node.addEventListener('focus', () => reveal(index))
  node.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const next = { ArrowUp: () => parents[index][0], ArrowDown: () => children[index][0], ArrowLeft: () => beside(index, -1), ArrowRight: () => beside(index, 1), Home: () => 0, End: () => nodes.length - 1 }[event.key]
    if (next) { event.preventDefault(); go(next()) }
    else if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); choose(index) }
  })
})

const search = document.getElementById('search')
const found = document.getElementById('found')
const texts = data.nodes.map(({ title, details: sections }) =>
  [title, ...sections.flatMap((section) => section.fields.map(([, value]) => value))].join('\n').toLowerCase())
function matches() {
  const text = search.value.trim().toLowerCase()
  svg.classList.toggle('searching', text !== '')
  const hits = nodes.map((_, index) => index).filter((index) => text !== '' && texts[index].includes(text))
  const all = new Set(hits)
  nodes.forEach((node, index) => node.classList.toggle('found', all.has(index)))
  found.textContent = text === '' ? '' : hits.length + ' of ' + nodes.length
  return hits
}
const look = (index) => { if (index !== undefined) { choose(index); reveal(index) } }
search.addEventListener('input', () => look(matches()[0]))
search.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') { search.value = ''; matches() }
  if (event.key !== 'Enter') return
  const hits = matches()
  look(hits[(hits.indexOf(chosen) + (event.shiftKey ? hits.length - 1 : 1)) % hits.length])
})
document.addEventListener('keydown', (event) => {
  if (event.target === search || event.ctrlKey || event.metaKey || event.altKey) return
  if (event.key === '/') { event.preventDefault(); search.focus() }
  if (event.key === '+' || event.key === '=') zoom(1.25)
  if (event.key === '-') zoom(1 / 1.25)
  if (event.key === '0') fit()
})

const themes = ['auto', 'light', 'dark']
const theme = document.getElementById('theme')
theme.addEventListener('click', () => {
  const next = themes[(themes.indexOf(document.documentElement.dataset.theme ?? 'auto') + 1) % themes.length]
  document.documentElement.dataset.theme = next
  theme.textContent = 'Colours: ' + next
})
`
