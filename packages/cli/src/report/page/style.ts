const FRAME = `
*{box-sizing:border-box}html{scroll-padding-top:1rem}body{margin:0;font:15px/1.55 system-ui,sans-serif;background:var(--bg);color:var(--fg)}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;z-index:1;background:var(--surface);padding:.4rem .8rem}
[hidden]{display:none!important}
header,main,footer,#trace{padding-inline:max(1.25rem,calc((100vw - 76rem)/2))}
header{background:var(--surface);border-bottom:1px solid var(--line);border-top:4px solid var(--v);padding-block:1.1rem .9rem}
.good{--v:var(--ok);--v-bg:var(--ok-bg)}.fair{--v:var(--warn);--v-bg:var(--warn-bg)}.poor{--v:var(--bad);--v-bg:var(--bad-bg)}
.top{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center}.top button{margin-left:auto}
h1{font-size:1.35rem;line-height:1.3;margin:0}h2{font-size:1.15rem;line-height:1.35;margin:0 0 .6rem}h3{font-size:1rem;margin:1.3rem 0 .5rem}
.verdict{display:inline-flex;gap:.5rem;align-items:center;margin:0;padding:.3rem .8rem;border-radius:.5rem;background:var(--v-bg);color:var(--v);font-weight:600}
.verdict svg{width:1.3rem;height:1.3rem;flex:none}.mark{--m:var(--v);--m-bg:var(--v-bg)}.mark circle{fill:var(--m-bg);stroke:var(--m)}.mark path{fill:none;stroke:var(--m);stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
header p{margin:.5rem 0 0;color:var(--dim);overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.6rem 1rem;margin:1rem 0 0}.facts div{border-left:3px solid var(--line);padding-left:.7rem}.facts dt{color:var(--dim);font-size:.87rem}.facts dd{margin:0;font-size:1.25rem;font-weight:600;line-height:1.3}
nav{background:var(--surface);border-bottom:1px solid var(--line);padding-block:.45rem;padding-inline:max(1.25rem,calc((100vw - 76rem)/2))}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;margin:0;padding:0;align-items:center}nav li.filter{margin-left:auto}
nav label{display:flex;gap:.5rem;align-items:center}nav a{display:inline-block;padding:.25rem 0}
main{padding-block:1.2rem 2rem;display:grid;gap:1.2rem;grid-template-columns:minmax(0,1fr)}
section{background:var(--surface);border:1px solid var(--line);border-radius:.6rem;padding:1rem 1.15rem;min-width:0}
footer{padding-block:0 2rem;color:var(--dim);font-size:.9rem}
a{color:var(--focus)}button,input{font:inherit;color:inherit;background:var(--surface);border:1px solid var(--edge);border-radius:6px;padding:.2rem .65rem;min-height:2rem}button{cursor:pointer}button:hover{background:var(--quiet-bg)}input{min-width:0;width:15rem;max-width:100%}input::placeholder{color:var(--dim);opacity:1}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
bdi{unicode-bidi:isolate}.long{overflow-wrap:anywhere}.dim,.help{color:var(--dim)}.help{margin:.4rem 0;font-size:.92rem}code{font:600 .9em ui-monospace,monospace}
`
const CONTENT = `
.table,.map{overflow-x:auto}.table{margin:.4rem 0}
table{border-collapse:collapse;width:100%;font-size:.93rem}caption{text-align:left;color:var(--dim);padding:.1rem 0 .4rem;position:sticky;left:0}
th,td{text-align:left;vertical-align:top;padding:.4rem .8rem .4rem 0;border-bottom:1px solid var(--line);overflow-wrap:break-word;max-width:20rem}thead th{color:var(--dim);font-weight:600;white-space:nowrap;vertical-align:bottom;border-bottom-color:var(--edge)}tbody th{font-weight:600}.meaning{font-weight:400;color:var(--dim)}.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tr:target>*,tr.chosen>*{background:var(--quiet-bg)}tbody tr:last-child>*{border-bottom:0}
.bar{display:block;width:100%;height:1.1rem;border-radius:.3rem;margin:0 0 .6rem}
.part{stroke:var(--surface);stroke-width:1;vector-effect:non-scaling-stroke}.verified{--c:var(--ok)}.incomplete{--c:var(--warn)}.broken{--c:var(--bad)}.empty{--c:var(--quiet)}.denied{--c:var(--taint)}.part{fill:var(--c)}
.swatch{display:inline-block;width:.85rem;height:.85rem;border-radius:3px;margin-right:.45rem;vertical-align:-.08rem;background:var(--c)}
.swatch:is(.high,.medium,.low,.none,.unproven){background:var(--c-bg);border:1px solid var(--c);border-left-width:5px}.swatch.corner{background:linear-gradient(135deg,var(--c-bg) 50%,var(--c) 50%)}.swatch.line{height:0;border-top:3px solid var(--bad);border-radius:0;background:none;vertical-align:.2rem;width:1.3rem}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;margin:.5rem 0;padding:0;font-size:.9rem}
.level{display:inline-block;padding:0 .5rem;border-radius:.6rem;background:var(--c-bg);color:var(--c);font-weight:600;white-space:nowrap}
.kind{border:1px solid var(--line);border-left:4px solid var(--m);border-radius:.4rem;padding:.15rem .8rem;margin:.45rem 0}.kind summary strong{color:var(--m)}.error{--m:var(--bad)}.warning{--m:var(--warn)}.note{--m:var(--dim)}
summary{cursor:pointer;padding:.35rem 0;overflow-wrap:anywhere}.kind .times{font-weight:600;margin-left:.3rem}.kind p{margin:.3rem 0}
.list{list-style:none;margin:.3rem 0 .5rem;padding:0}.list li{padding:.45rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}.list li:last-child{border-bottom:0}
.plain{margin:.4rem 0;padding-left:1.2rem}.plain li{margin:.25rem 0}
.chart{display:block;width:100%;height:auto}.chart text,.services text{font:12px system-ui,sans-serif;fill:var(--dim)}.grid{stroke:var(--line);fill:none}.axis{stroke:var(--edge);fill:none}.narrow.narrow{display:none}
.services{display:block;margin:0 auto}.services .name{font-size:14px;font-weight:600;fill:var(--fg)}.card{fill:var(--surface);stroke:var(--edge)}.stripe,.corner{fill:var(--c)}.service:hover .card,.service:focus-visible .card{stroke:var(--focus);stroke-width:2.5}.services a{text-decoration:none}.services a:focus-visible{outline:none}
.way{fill:none;stroke:var(--edge)}.hit{fill:none;stroke:transparent;stroke-width:14}.call:hover .way{stroke:var(--focus)}.call.refused .way{stroke:var(--bad)}.label{fill:var(--surface)}.services .call text{fill:var(--fg)}.services .call text.refused{fill:var(--bad);font-weight:600}.arrow{fill:var(--edge);fill:context-stroke}
#trace{padding-block:.8rem 0;border:0;border-radius:0;background:var(--bg)}#trace h2{margin:.2rem 0 .6rem;overflow-wrap:anywhere}#trace iframe{display:block;width:100%;height:calc(100vh - 7rem);min-height:30rem;border:1px solid var(--line);border-radius:.4rem;background:var(--bg)}
`
const SMALL = `
@media (max-width:860px){.wide.wide{display:none}.narrow.narrow{display:block}.chart{max-width:34rem}header,main,footer,nav,#trace{padding-inline:.9rem}section{padding:.85rem .8rem}nav li.filter,nav input{width:100%;margin:0}nav label{width:100%}.top button{margin-left:0}.facts{grid-template-columns:repeat(2,minmax(0,1fr))}table,tbody,tr,caption{display:block;width:100%}thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden;white-space:nowrap}tr{padding:.5rem 0;border-bottom:1px solid var(--line)}tbody th,td{display:block;border:0;padding:.1rem 0;max-width:none;overflow-wrap:anywhere}td{display:grid;grid-template-columns:7rem minmax(0,1fr);gap:.5rem}td:empty{display:none}td::before{content:attr(data-title);color:var(--dim)}.number{text-align:left;white-space:normal}#trace iframe{height:calc(100vh - 6rem)}}
@media print{nav,#theme,.skip,#trace{display:none!important}body,section,header{background:#fff}section{border:0;padding:0}.table,.map{overflow:visible}*{print-color-adjust:exact}}
@media (forced-colors:active){.part,.swatch,.stripe,.corner{forced-color-adjust:none}}
`

export const REPORT_STYLE: string = `${FRAME}${CONTENT}${SMALL}`
