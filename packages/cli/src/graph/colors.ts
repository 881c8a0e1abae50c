/** Of both schemes, calm, and for text at least 4.5 to 1 on what it stands on (WCAG AA). Green is for what is verified, and for nothing else. */
const LIGHT =
  '--bg:#f6f7f9;--surface:#fff;--fg:#1b2026;--dim:#56606b;--line:#d5dae0;--edge:#7c8793;--focus:#1558c0;' +
  '--ok:#166a2e;--ok-bg:#e3f3e7;--warn:#7c4f00;--warn-bg:#fdf1d4;--bad:#a81e17;--bad-bg:#fdebe9;--quiet:#3f4a55;--quiet-bg:#e9ecf0;' +
  '--high:#1a56a8;--high-bg:#e4eefb;--medium:#0b6474;--medium-bg:#dff2f5;--low:#8a4b00;--low-bg:#fcebd6;--none:#9c2743;--none-bg:#fbe6eb;--taint:#6535a0;--taint-bg:#f0e8fa'
const DARK =
  '--bg:#0f1319;--surface:#181d25;--fg:#e7ebf0;--dim:#a3adb9;--line:#313a46;--edge:#76828f;--focus:#7db3ff;' +
  '--ok:#72d18d;--ok-bg:#12301c;--warn:#ecc264;--warn-bg:#332808;--bad:#ff9c93;--bad-bg:#401a17;--quiet:#c3ccd6;--quiet-bg:#2a323d;' +
  '--high:#90bdff;--high-bg:#162a47;--medium:#6fcfdc;--medium-bg:#0f2f35;--low:#efb673;--low-bg:#38250d;--none:#ff9fb4;--none-bg:#411a26;--taint:#cbadf7;--taint-bg:#2c2041'

/** As the reader has it; where he chose one, `data-theme` of the page says so; on paper always light. */
export const COLOR_STYLE: string =
  `:root{color-scheme:light dark;${LIGHT}}` +
  `@media (prefers-color-scheme:dark){:root:not([data-theme=light]){${DARK}}}:root[data-theme=dark]{${DARK}}` +
  `@media print{:root:root:root{color-scheme:light;${LIGHT}}}`
