/** Of cards and edges. Lines are as thick at every size of the picture. */
export const PICTURE_STYLE: string =
  '.lineage text{font:12px system-ui,sans-serif;fill:var(--fg);unicode-bidi:isolate}' +
  '.lineage .name{font-size:14px;font-weight:600}.lineage .line{fill:var(--dim)}.lineage .badge text{font-size:11px;font-weight:600;fill:var(--c)}' +
  '.lineage .card{fill:var(--surface);stroke:var(--edge);stroke-width:1;vector-effect:non-scaling-stroke}' +
  '.lineage .stripe{fill:var(--c)}.lineage .badge rect{fill:var(--c-bg)}' +
  '.lineage .edge{fill:none;stroke:var(--edge);stroke-width:1.25;vector-effect:non-scaling-stroke}.lineage .arrow{fill:var(--edge);fill:context-stroke}' +
  '.lineage .edge.claimed{stroke-dasharray:4 4}.lineage .edge.receipt{stroke-dasharray:1 4;stroke-linecap:round}' +
  '.lineage .failed .card{fill:var(--bad-bg);stroke:var(--bad);stroke-width:2}' +
  '.lineage .signed .card{stroke:var(--warn)}' +
  '.lineage .missing .card{fill:var(--bg);stroke-dasharray:5 4}.lineage .denied .card{fill:var(--bg);stroke:var(--bad);stroke-dasharray:5 4}' +
  '.lineage .refused .card{fill:var(--bg);stroke:var(--bad);stroke-width:1.5}'

/** What a card, a badge and the legend have in common. */
export const TONE_STYLE: string =
  '.high{--c:var(--high);--c-bg:var(--high-bg)}.medium{--c:var(--medium);--c-bg:var(--medium-bg)}.low{--c:var(--low);--c-bg:var(--low-bg)}' +
  '.none{--c:var(--none);--c-bg:var(--none-bg)}.unproven{--c:var(--quiet);--c-bg:var(--quiet-bg)}.tainted{--c:var(--taint);--c-bg:var(--taint-bg)}' +
  '.failed,.denied,.refused{--c:var(--bad);--c-bg:var(--bad-bg)}' +
  '.state{--c:var(--quiet);--c-bg:var(--quiet-bg)}.failed .state,.denied .state,.refused .state{--c:var(--bad);--c-bg:var(--bad-bg)}.signed .state{--c:var(--warn);--c-bg:var(--warn-bg)}' +
  '.failed .state{--c-bg:var(--surface)}' +
  '.mark circle{fill:var(--m-bg);stroke:var(--m);stroke-width:1.5}.mark path{fill:none;stroke:var(--m);stroke-width:2;stroke-linecap:round;stroke-linejoin:round}' +
  '.mark{--m:var(--quiet);--m-bg:var(--quiet-bg)}.mark.verified{--m:var(--ok);--m-bg:var(--ok-bg)}.mark.signed{--m:var(--warn);--m-bg:var(--warn-bg)}' +
  '.mark.failed,.mark.denied,.mark.refused{--m:var(--bad);--m-bg:var(--bad-bg)}.mark.missing circle{stroke-dasharray:3 2}'
