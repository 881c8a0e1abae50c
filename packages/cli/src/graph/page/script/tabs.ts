/** One list beside the picture at a time, as tabs are by keyboard: arrows change between them. Without the script, and on paper, there are all. */
export const TABS: string = `
const details = document.getElementById('details')
const sections = [...document.querySelectorAll('[data-tab]')]
const tabs = sections.map((section, index) => {
  const tab = document.createElement('button')
  tab.type = 'button'
  tab.id = 'tab-' + section.id
  tab.textContent = section.dataset.tab
  tab.setAttribute('role', 'tab')
  tab.setAttribute('aria-controls', section.id)
  section.setAttribute('role', 'tabpanel')
  section.setAttribute('aria-labelledby', tab.id)
  tab.addEventListener('click', () => openTab(section))
  tab.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const next = (index + step + sections.length) % sections.length
    openTab(sections[next])
    tabs[next].focus()
  })
  return tab
})
document.querySelector('.tabs').append(...tabs)
function openTab(section) {
  sections.forEach((one, index) => {
    one.hidden = one !== section
    tabs[index].tabIndex = one === section ? 0 : -1
    tabs[index].setAttribute('aria-selected', String(one === section))
  })
}
openTab(details)
`
