/** An engine's answer, a denial, whose `then` is computed: it can be read once, and throws the second time. */
export function computedAnswer(): never {
  let reads = 0
  return {
    allow: false,
    // biome-ignore lint/suspicious/noThenProperty: it is what is tested
    get then(): undefined {
      if (reads++ > 0) throw new Error('read again')
      return undefined
    },
  } as never
}
