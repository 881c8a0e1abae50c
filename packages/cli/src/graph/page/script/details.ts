/** What is known of the chosen entry, with ways to those that it builds on. Texts are set as text, never as markup. */
export const DETAILS: string = `
const parents = nodes.map(() => [])
const children = nodes.map(() => [])
for (const [parent, child] of data.edges) { parents[child].push(parent); children[parent].push(child) }
for (const some of [...parents, ...children]) some.sort((a, b) => cards[a].x - cards[b].x || a - b)
const edges = [...svg.querySelectorAll('.edge')]
svg.classList.toggle('dense', edges.length > 300)
let chosen = 0

function made(tag, text, name) {
  const element = document.createElement(tag)
  if (text !== undefined) element.textContent = text
  if (name !== undefined) element.className = name
  return element
}
function ways(heading, indices) {
  if (indices.length === 0) return []
  const list = made('ul', undefined, 'ways')
  for (const index of indices) {
    const item = made('li')
    const button = made('button')
    button.type = 'button'
    button.append(made('bdi', data.nodes[index].title), ' ', made('bdi', data.nodes[index].operation ?? '', 'dim'))
    button.addEventListener('click', () => go(index))
    item.append(button)
    list.append(item)
  }
  return [made('h3', heading), list]
}
function fields(section) {
  const list = made('dl')
  for (const [label, value] of section.fields) list.append(made('dt', label), made('dd', value))
  return [made('h3', section.heading), list]
}
/* The lineage of an entry: all that it rests on. */
function lineageOf(index) {
  const seen = new Set([index])
  for (const one of seen) for (const parent of parents[one]) seen.add(parent)
  return seen
}
function choose(index) {
  chosen = index
  const lineage = lineageOf(index)
  nodes.forEach((node, i) => {
    node.classList.toggle('chosen', i === index)
    node.classList.toggle('lineage-of', i !== index && lineage.has(i))
    node.tabIndex = i === index ? 0 : -1
    node.setAttribute('aria-pressed', String(i === index))
  })
  for (const edge of edges) edge.classList.toggle('of-chosen', lineage.has(Number(edge.dataset.child)))
  const { title, operation, status, details: sections } = data.nodes[index]
  const heading = made('h2')
  heading.append(made('bdi', title))
  const mark = svg.querySelector('[data-node="' + index + '"] .mark').cloneNode(true)
  mark.removeAttribute('transform')
  const sign = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  sign.setAttribute('viewBox', '0 0 16 16')
  sign.setAttribute('aria-hidden', 'true')
  sign.append(mark)
  const state = made('p', undefined, 'status')
  state.append(sign, made('span', status))
  const what = made('p', undefined, 'operation')
  if (operation !== null) what.append(made('bdi', operation))
  details.replaceChildren(heading, what, state, ...ways('Builds on', parents[index]), ...ways('What builds on it', children[index]), ...sections.flatMap(fields))
}
function go(index) {
  if (index === undefined) return
  nodes[index].focus({ preventScroll: true })
  choose(index)
  openTab(details)
  reveal(index)
}
for (const button of document.querySelectorAll('[data-goto]')) button.addEventListener('click', () => {
  go(Number(button.dataset.goto))
  view.scrollIntoView({ block: 'nearest' })
})
`
