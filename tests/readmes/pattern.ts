/** Of a line as a README promises it: `…` stands for what differs, or matters not. */
export function patternOf(promised: string): RegExp {
  const parts = promised.split('…').map((part) => part.replaceAll(/[^\w\s]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'm')
}
