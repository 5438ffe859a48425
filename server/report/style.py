"""How the report looks: system fonts, dark on white, one column, readable on paper."""

STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --soft: #545d68; --rule: #d8dde3; --wash: #f4f6f8;
  --alarm: #a61b1b; --good: #00603f; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1.1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .2rem; }
h1 small { display: block; font-size: .85rem; font-weight: 400; color: var(--soft); margin: .3rem 0; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem; padding-top: .9rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p, li { max-width: 46rem; }
.lead { color: var(--soft); margin: 0 0 1.2rem; overflow-wrap: anywhere; }
.alarm { border: 2px solid var(--alarm); color: var(--alarm); font-weight: 600; padding: .6rem .9rem;
  margin: .6rem 0; max-width: none; }
.summary { background: var(--wash); padding: 1rem 1.2rem .6rem; border-left: 4px solid var(--ink); }
.summary p { margin: 0 0 .6rem; font-size: 1.05rem; max-width: 50rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem;
  margin: 1.2rem 0 0; padding: 0; }
.tiles > div { border: 1px solid var(--rule); padding: .7rem .9rem; }
.tiles dt { color: var(--soft); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.35rem; line-height: 1.25; }
.tiles dd b { font-weight: 600; }
.tiles small, td small { display: block; color: var(--soft); font-size: .74rem; line-height: 1.3;
  font-weight: 400; }
h2 span { color: var(--soft); font-weight: 400; margin-right: .3rem; }
.question { color: var(--soft); font-style: italic; margin: 0 0 .6rem; }
.scope { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 0 2rem;
font-size: .93rem; }
.scope h3 { margin: .2rem 0; font-size: .85rem; color: var(--soft); text-transform: uppercase;
  letter-spacing: .04em; }
.scope ul { margin: 0 0 .8rem; padding-left: 1.1rem; }
.bad { color: var(--alarm); }
.wide { overflow-x: auto; margin: .8rem 0; }
.wide:focus-visible { outline: 3px solid #0b5fa5; }
figure { margin: 1rem 0 .4rem; overflow-x: auto; }
figure svg { display: block; width: 100%; max-width: 38rem; height: auto;
  font-family: inherit; }
figcaption { color: var(--soft); font-size: .85rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: 0 0 .4rem; font-size: .88rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .8rem .45rem 0;
  border-bottom: 1px solid var(--rule); }
thead th { border-bottom: 1.5px solid var(--ink); font-size: .82rem; }
td div + div { margin-top: .35rem; }
td b, tbody th, code.id { font-weight: 600; }
td b, code.id { white-space: nowrap; }
tbody th { min-width: 7rem; max-width: 14rem; overflow-wrap: break-word; }
td small { min-width: 9rem; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .86em;
  overflow-wrap: anywhere; }
blockquote { margin: .8rem 0; padding: .2rem 0 .2rem 1rem; border-left: 4px solid var(--rule); max-width: 46rem; }
dl.facts { display: grid; grid-template-columns: minmax(9rem, auto) 1fr; gap: .35rem 1.2rem; margin: .8rem 0; }
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
.none { color: var(--soft); }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 34rem) { dl.facts { grid-template-columns: 1fr; gap: 0; }
  dl.facts dd { margin-bottom: .6rem; } table.many { min-width: 46rem; } h1 { font-size: 1.4rem; } }
@media print { body { font-size: 10.5pt; } main { max-width: none; padding: 0; }
  h2 { break-after: avoid; } figure, tr, blockquote, .tiles > div { break-inside: avoid; }
  .wide, figure { overflow: visible; } figure svg { max-width: 13cm; }
  td small { min-width: 0; } }
"""
