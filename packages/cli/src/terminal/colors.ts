/** SGR codes that switch a style on and off (ECMA-48 §8.3.117). */
const STYLES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const

/** Each style wraps a text that is already safe to show. */
export type Colors = Readonly<Record<keyof typeof STYLES, (text: string) => string>>

/** @param enabled without, every style leaves the text as it is */
export function createColors(enabled: boolean): Colors {
  const style = (name: keyof typeof STYLES): ((text: string) => string) => {
    const [on, off] = STYLES[name]
    return enabled ? (text) => `\u001b[${on}m${text}\u001b[${off}m` : (text) => text
  }
  return {
    bold: style('bold'),
    dim: style('dim'),
    red: style('red'),
    green: style('green'),
    yellow: style('yellow'),
    cyan: style('cyan'),
  }
}

/**
 * Whether to write colours: on a terminal only. `FORCE_COLOR` wants them elsewhere too (`0` nowhere), and wins over
 * `NO_COLOR` as it does in Node.
 */
export function wantsColors(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): boolean {
  const { FORCE_COLOR: force, NO_COLOR: none, TERM: terminal } = env
  if (force !== undefined) return force !== '0' && force !== 'false'
  if (none !== undefined && none !== '') return false
  return isTerminal && terminal !== 'dumb'
}
