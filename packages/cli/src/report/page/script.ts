/**
 * What the page of a report does: the pages of traces open and close by the address, so that the way back is the reader's own; rows and
 * findings are filtered; light and dark. It is given to the browser as it stands here, and sets no text as markup.
 */
export const REPORT_SCRIPT: string = `'use strict'
const report = document.getElementById('report')
const trace = document.getElementById('trace')
const holder = document.getElementById('holder')
const root = document.documentElement
let left = null
let scrolled = 0
/* Whether the report was there before the trace, so that it is the reader's way back. */
let came = false

function close() {
  if (trace.hidden) return
  trace.hidden = true
  report.hidden = false
  holder.replaceChildren()
  document.title = title
  scrollTo({ top: scrolled, behavior: 'instant' })
  left?.focus({ preventScroll: true })
}
const title = document.title
function open(template) {
  left = document.activeElement
  scrolled = scrollY
  report.hidden = true
  trace.hidden = false
  const heading = trace.querySelector('h2')
  heading.textContent = template.dataset.title
  document.title = template.dataset.title
  const frame = template.content.firstElementChild.cloneNode(true)
  frame.addEventListener('load', () => {
    const inside = frame.contentDocument
    if (inside === null) return
    if (root.dataset.theme !== undefined) inside.documentElement.dataset.theme = root.dataset.theme
    inside.addEventListener('keydown', leave)
  })
  holder.replaceChildren(frame)
  scrollTo({ top: 0, behavior: 'instant' })
  heading.focus()
}
function back() {
  if (came) history.back()
  else location.hash = ''
}
function leave(event) {
  if (event.key === 'Escape' && !trace.hidden && event.target.type !== 'search') back()
}
function heed() {
  const name = location.hash.slice(1)
  const target = name === '' ? null : document.getElementById(name)
  if (target instanceof HTMLTemplateElement) { if (trace.hidden) open(target); return }
  close()
  if (target === null) return
  if (target instanceof HTMLDetailsElement) target.open = true
  if (target.matches('tr, details, section')) { target.scrollIntoView({ block: 'nearest' }); (target.querySelector('summary') ?? target).focus({ preventScroll: true }) }
}
addEventListener('hashchange', () => { came = true; heed() })
document.addEventListener('keydown', leave)
document.getElementById('back').addEventListener('click', (event) => { event.preventDefault(); back() })

const filter = document.getElementById('filter')
const found = document.getElementById('found')
const rows = [...document.querySelectorAll('tr[id], #refused tbody tr, .kind')].map((element) => ({ element, text: element.textContent.toLowerCase() }))
filter.addEventListener('input', () => {
  const text = filter.value.trim().toLowerCase()
  let hits = 0
  for (const row of rows) {
    const hit = row.text.includes(text)
    row.element.hidden = !hit
    if (hit) hits++
  }
  found.textContent = text === '' ? '' : hits + ' of ' + rows.length
})
const themes = ['auto', 'light', 'dark']
const theme = document.getElementById('theme')
theme.addEventListener('click', () => {
  const next = themes[(themes.indexOf(root.dataset.theme ?? 'auto') + 1) % themes.length]
  root.dataset.theme = next
  theme.textContent = 'Colours: ' + next
})
root.classList.add('live')
heed()
`
