/** What a browser computed of colours, for scripts that run in a page; `say(what, element)` is theirs. */
export const MEASURE: string = String.raw`
function luminance(color) {
  const parts = color.match(/[\d.]+/g).map(Number)
  if (parts.length === 4 && parts[3] < 1) throw new Error('a colour that lets others through: ' + color)
  const [r, g, b] = parts.map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}
function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}
function least(ratio, one, other, element) {
  const is = contrast(one, other)
  if (is < ratio) say('contrast ' + is.toFixed(2) + ' of ' + one + ' on ' + other, element)
}
function background(element) {
  const { backgroundColor } = getComputedStyle(element)
  return backgroundColor === 'rgba(0, 0, 0, 0)' ? background(element.parentElement) : backgroundColor
}
`
