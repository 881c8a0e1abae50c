/** Of the page around the picture. */
export const PAGE_STYLE = `
*{box-sizing:border-box}
html,body{margin:0;height:100%}
body{display:grid;grid-template:auto 1fr/1fr auto;font:14px/1.45 system-ui,sans-serif;background:var(--bg);color:var(--fg)}
header{grid-column:1/3;display:flex;flex-wrap:wrap;gap:.5rem .75rem;align-items:center;padding:.6rem 1rem;border-bottom:1px solid var(--line)}
h1{font-size:1rem;margin:0;overflow-wrap:anywhere}
.verdict{padding:.1rem .6rem;border-radius:1rem;border:1px solid currentColor;font-weight:600}
.verdict.good{color:var(--ok)}.verdict.fair{color:var(--warn)}.verdict.poor{color:var(--bad)}
.tools{margin-left:auto;display:flex;gap:.4rem;align-items:center}
button,input{font:inherit;color:inherit;background:var(--bg);border:1px solid var(--line);border-radius:6px;padding:.25rem .6rem;min-height:2rem}
button{cursor:pointer}button:hover{background:var(--none-bg)}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
#view{overflow:hidden;position:relative;touch-action:none;cursor:grab;min-width:0;min-height:0}
#view svg{width:100%;height:100%;display:block}
.node{cursor:pointer}.node:focus{outline:none}
.node:focus-visible rect,.node.chosen rect{stroke:var(--focus)!important;stroke-width:3.5}
.searching .node:not(.found){opacity:.25}.searching .edge{opacity:.25}
aside{width:min(26rem,42vw);overflow:auto;border-left:1px solid var(--line);padding:1rem}
aside h2{font-size:1rem;margin:0 0 .5rem}
dl{display:grid;grid-template-columns:auto 1fr;gap:.2rem .8rem;margin:0 0 1rem}
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere;font-family:ui-monospace,monospace;font-size:.85em}
ul{padding-left:1.1rem;margin:0 0 1rem}li{overflow-wrap:anywhere;margin-bottom:.25rem}code{font-weight:600}
kbd{border:1px solid var(--line);border-radius:4px;padding:0 .3em}
.help{color:var(--dim);font-size:.85em}
@media (max-width:700px){body{grid-template:auto 1fr auto/1fr}header{grid-column:1}aside{width:auto;max-height:40vh;border-left:0;border-top:1px solid var(--line)}}
@media print{.tools,.help{display:none}}
`
