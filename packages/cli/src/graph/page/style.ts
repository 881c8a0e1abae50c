/** Of the page around the picture: beside each other where there is room, below each other where there is not. */
const FRAME = `
*{box-sizing:border-box}
html,body{margin:0}
body{font:14px/1.5 system-ui,sans-serif;background:var(--bg);color:var(--fg)}
header{display:grid;grid-template-columns:auto 1fr;gap:.35rem 1.1rem;align-items:center;padding:.8rem 1.25rem;background:var(--surface);border-bottom:1px solid var(--line);border-top:4px solid var(--v)}
.good{--v:var(--ok);--v-bg:var(--ok-bg)}.fair{--v:var(--warn);--v-bg:var(--warn-bg)}.poor{--v:var(--bad);--v-bg:var(--bad-bg)}
.verdict{display:flex;gap:.5rem;align-items:center;margin:0;padding:.4rem .9rem;border-radius:.5rem;background:var(--v-bg);color:var(--v);font-size:1.15rem;line-height:1.3;max-width:16rem}
.verdict strong::first-letter{text-transform:uppercase}
.verdict svg{flex:none;width:1.5rem;height:1.5rem}
header .mark{--m:var(--v);--m-bg:var(--v-bg)}
.about{min-width:0}h1{font-size:1rem;line-height:1.35;margin:0;overflow-wrap:anywhere;max-height:6em;overflow:auto}.about p{margin:0;color:var(--dim);overflow-wrap:anywhere}
.facts{grid-column:1/-1;display:flex;flex-wrap:wrap;gap:.2rem 1.6rem;margin:.15rem 0 0}
.facts div{display:flex;gap:.4rem;min-width:0;align-items:baseline}.facts dt{flex:none;color:var(--dim)}.facts dd{margin:0;overflow-wrap:anywhere;overflow:hidden}
.tools{display:flex;flex-wrap:wrap;gap:.5rem .75rem;align-items:center;padding:.5rem 1.25rem;border-bottom:1px solid var(--line)}
.tools .buttons{display:flex;flex-wrap:wrap;gap:.4rem;margin-left:auto}
.search{display:flex;gap:.5rem;align-items:center;min-width:0;flex:0 1 26rem}.search input{flex:1 1 8rem;min-width:0;width:100%}#found{white-space:nowrap;color:var(--dim)}
button,input{font:inherit;color:inherit;background:var(--surface);border:1px solid var(--edge);border-radius:6px;padding:.2rem .65rem;min-height:2rem}
input::placeholder{color:var(--dim);opacity:1}
button{cursor:pointer}button:hover{background:var(--quiet-bg)}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
main{display:grid;grid-template-rows:minmax(0,1fr) auto;min-width:0;min-height:0}
#view{overflow:auto;min-width:0;min-height:0}.live #view{overflow:hidden;touch-action:none;cursor:grab}.live #view:active{cursor:grabbing}
.live #view svg{width:100%;height:100%;display:block}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;margin:0;padding:.5rem 1.25rem;list-style:none;border-top:1px solid var(--line);background:var(--surface);font-size:.86rem}
.legend li{display:flex;gap:.4rem;align-items:center}.legend svg{width:1rem;height:1rem}
.swatch{width:1rem;height:1rem;border-radius:3px;background:var(--c-bg);border:1px solid var(--c);border-left-width:5px}
.swatch.corner{border:0;background:linear-gradient(135deg,var(--c-bg) 50%,var(--c) 50%)}
@media (min-width:901px){html,body{height:100%}body{display:grid;grid-template:auto auto minmax(0,1fr)/minmax(0,1fr) 26rem}header,.tools{grid-column:1/-1}aside{overflow:auto;border-left:1px solid var(--line)}}
@media (max-width:900px){#view{height:clamp(260px,58vh,560px)}main{border-bottom:1px solid var(--line)}header,.tools{padding-inline:1rem}.legend{padding-inline:1rem}}
@media (max-width:560px){header{grid-template-columns:minmax(0,1fr)}.verdict{max-width:none;justify-self:start}.facts{display:grid;gap:.1rem}.search{flex-basis:100%}.tools .buttons{margin-left:0}}
`

/** What the script changes in the picture; sizes in \`--unit\` are those on the screen. */
const PICTURE = `
.live .node{cursor:pointer}.node:focus{outline:none}
.chosen .card{stroke:var(--focus)!important;stroke-width:3!important}
.node:focus-visible .card{stroke:var(--focus)!important;stroke-width:4.5!important}
.lineage-of .card{stroke:var(--focus)!important}.edge.of-chosen{stroke:var(--focus)!important;stroke-width:2}
.names .line,.names .badges,.far .texts,.far .badges,.far .mark{display:none}
.names .texts{clip-path:url(#clip-card)}.lineage.names .name{font-size:calc(10.5px*var(--unit));font-weight:400;transform:translate(0,22px);dominant-baseline:central}
.names .card{fill:var(--c-bg)}.far .card{fill:var(--c-bg);stroke:var(--c)}.far .failed .card{fill:var(--bad)}.far .edge{marker-end:none}.far .edge,.dense .edge{stroke-width:.75}
.searching .node:not(.found){--c:var(--edge);--c-bg:var(--bg)}.searching .node:not(.found) .name{fill:var(--dim)}
.searching .found .card{stroke:var(--focus);stroke-width:3}
`

const ASIDE = `
aside{padding:1rem 1.25rem;background:var(--surface);min-width:0}
aside h2{font-size:1.05rem;line-height:1.35;margin:0;overflow-wrap:anywhere;overflow:hidden;max-height:5.4em}aside section+section{margin-top:1.5rem;padding-top:1rem;border-top:1px solid var(--line)}.tabs{display:none}.live .tabs{display:flex;flex-wrap:wrap;gap:.25rem;margin:-.25rem 0 1rem;border-bottom:1px solid var(--line)}
.tabs button{border:0;border-bottom:3px solid transparent;border-radius:0;padding:.3rem .7rem;background:none;color:var(--dim)}.tabs [aria-selected=true]{border-color:var(--focus);color:var(--fg);font-weight:600}
.live aside [role=tabpanel]{margin:0;padding:0;border:0}.live aside [hidden]{display:none}
aside h3{font-size:.86rem;margin:1rem 0 .3rem;color:var(--dim);font-weight:600}
.operation{margin:0;overflow-wrap:anywhere;overflow:hidden;max-height:12em}.status{display:flex;gap:.5rem;align-items:center;margin:.4rem 0 0;font-weight:600}.status svg{flex:none;width:1.15rem;height:1.15rem}
aside dl{display:grid;grid-template-columns:5.6rem minmax(0,1fr);gap:.25rem .6rem;margin:0;align-items:baseline}
aside dt{color:var(--dim)}aside dd{margin:0;overflow-wrap:anywhere;white-space:pre-wrap;font-family:ui-monospace,monospace;font-size:.9em;max-height:14em;overflow:auto;unicode-bidi:isolate;user-select:text}
bdi{unicode-bidi:isolate}.dim,.help{color:var(--dim)}
.ways,.list{list-style:none;margin:0;padding:0}.ways{max-height:14em;overflow:auto}.ways li{margin:0 0 .3rem}
.ways button{text-align:left;width:100%;overflow:hidden;overflow-wrap:anywhere;max-height:5em}
.list li{padding:.45rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere;overflow:hidden}.list li:last-child{border-bottom:0}
.list strong{color:var(--m)}.list .error{--m:var(--bad)}.list .warning{--m:var(--warn)}.list .note{--m:var(--dim)}
.list button{padding:0 .5rem;min-height:1.6rem}
code{font:600 .92em ui-monospace,monospace}
kbd{border:1px solid var(--line);border-radius:4px;padding:0 .3em;font:inherit}.help{margin:.4rem 0 0;font-size:.9rem}
`

const PRINT = `
@media print{.live aside section[hidden]{display:block!important}body{display:block!important;background:#fff}.tools,.tabs.tabs,.keys,button[data-goto]{display:none!important}#view{height:auto;overflow:visible!important}.live #view svg,#view svg{width:100%;height:auto;max-height:90vh}
header,aside,.legend{background:#fff;padding-inline:0}aside{border:0}aside dd,.ways,.operation{max-height:none;overflow:visible}.list li,.node{break-inside:avoid}.live aside section[role]+section[role]{margin-top:1.5rem}*{print-color-adjust:exact}}
`

export const PAGE_STYLE: string = `${FRAME}${PICTURE}${ASIDE}${PRINT}`
