import { entryBy, exported } from '../../tests/support/spans.js'
import { denied } from './pages.js'

const HACK = 'globalThis.hacked = 1'
/** What breaks out of each place that a text is written to, and what only takes room. */
export const TEXTS: Readonly<Record<string, string>> = {
  markup: `</script><script>${HACK}</script><img src=x onerror="${HACK}"><iframe srcdoc="<script>parent.${HACK}</script>">`,
  attribute: `" onload="${HACK}" autofocus onfocus="${HACK}" x='`,
  svg: `</title></text></svg><svg onload="${HACK}"><animate onbegin="${HACK}" attributeName="x"/><foreignObject><body onload="${HACK}"></foreignObject>`,
  json: `\\u003c/script\\u003e","nodes":[],"x":"</script><!--<script>`,
  style: `</style><style>*{display:none!important}</style>} body{background:url(http://127.0.0.1:9/x)}`,
  template: `\${${HACK}} {{${HACK}}} \`; ${HACK}; //`,
  address: `javascript:${HACK} http://127.0.0.1:9/ data:text/html,<script>${HACK}</script>`,
  'right to left': 'מזומנים/שילמו אל \u202e תשלום (أوامر/دفع) "ملغى"',
  'marks upon marks': `a${'\u0301\u0489\u0337'.repeat(40)}b${'\u0e49'.repeat(40)}`,
  'no end': 'x'.repeat(700),
  wide: '𒐫꧅﷽'.repeat(15),
  controls: '\u0000\u001b[2J\u2028\u2029\ufeff\u200b\u00a0',
  emoji: '👩‍👩‍👧‍👦🏳️‍🌈'.repeat(6),
}

/** Each text as operation, user, policy, taint and label of a service, as the name of one, and as what was denied. */
export function hostile(): string {
  const root = entryBy('gateway', [])
  const entries = Object.values(TEXTS).flatMap((text) => [
    entryBy('orders', [root], {
      operation: text,
      classification: text,
      added_taints: [text],
      taints: [text],
      metadata: { [text]: text },
      labels: { 'kest.identity': identityOf(text), 'app.note': text },
      policy_context: {
        enterprise_policies: [text],
        platform_policies: [],
        app_policies: [],
        function_policies: ['orders/read'],
        deviations: [{ policy: text, tier: 'enterprise', reason: text, approver: text }],
      },
    }),
    entryBy('stranger', [root], { labels: { principal: text } }),
  ])
  const refused = Object.values(TEXTS).map((text) =>
    denied(entryBy('payments', [root], { operation: text, labels: { principal: text } }), text),
  )
  return `${exported(root, ...entries)}${refused.join('')}`
}

/** As the protocol writes it: sorted, without spaces. */
function identityOf(user: string): string {
  return JSON.stringify({ agent: null, task: null, user })
}
