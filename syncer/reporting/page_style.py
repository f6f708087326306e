"""How the page of the last passes looks: light and dark, from a phone's width on."""

STYLE = """
:root { color-scheme: light dark;
  --paper: #fbfaf8; --card: #fff; --ink: #1d2430; --soft: #667085; --line: #e4e2dd;
  --main: #2f6f8f; --ok: #2f6f8f; --warn: #b7791f; --fail: #b83232; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171c; --card: #1c2027; --ink: #e8eaee; --soft: #98a2b3; --line: #2c323c;
  --main: #6cb4d4; --ok: #6cb4d4; --warn: #e0a84a; --fail: #f07070; } }
* { box-sizing: border-box; margin: 0; }
body { background: var(--paper); color: var(--ink); line-height: 1.45;
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: clamp(12px, 3vw, 32px);
  display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); }
header, .tiles, .wide { grid-column: 1 / -1; }
h1 { font-size: 26px; letter-spacing: -0.02em; }
h2 { font-size: 14px; font-weight: 600; }
header p, .top, .axis, .none { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
section, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 16px; min-width: 0; }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); }
dt { color: var(--soft); font-size: 13px; }
dd { font-size: 22px; font-weight: 600; letter-spacing: -0.01em; }
.tile.warn dd { color: var(--warn); } .tile.fail dd { color: var(--fail); }
.columns { list-style: none; padding: 0; height: 120px; margin-top: 10px; display: flex;
  align-items: flex-end; gap: 2px;
  border-bottom: 1px solid var(--line); }
.columns li { flex: 1 1 0; max-width: 28px; height: var(--h); border-radius: 3px 3px 0 0;
  background: var(--main); overflow: hidden; }
.columns li.warn { background: var(--warn); } .columns li.fail { background: var(--fail); }
.columns li:hover { filter: brightness(1.15); }
.columns span { position: absolute; left: -9999px; }
.axis { display: flex; justify-content: space-between; margin-top: 4px; font-size: 12px; }
table { border-collapse: collapse; width: 100%; margin-top: 10px; font-variant-numeric: tabular-nums; }
th { font-weight: 400; text-align: left; color: var(--soft); font-size: 13px; }
.heat th, .bars th { width: 1%; white-space: nowrap; padding-right: 12px; }
.heat td { border: 1px solid var(--card); height: 22px; border-radius: 3px;
  background: color-mix(in srgb, var(--main) calc(var(--a, 0) * 100%), var(--line)); }
.heat td.late { background: color-mix(in srgb, var(--fail) calc(var(--a, 0) * 100%), var(--line)); }
td.sum, .heat td.sum { width: 1%; white-space: nowrap; text-align: right; padding-left: 12px;
  background: none; font-size: 13px; }
.bar { background: var(--warn); height: 14px; width: var(--w); border-radius: 3px; }
.bars td, .bars th { padding-top: 3px; padding-bottom: 3px; }
.scroll { overflow-x: auto; }
.passes td, .passes th { padding: 6px 14px 6px 0; white-space: nowrap; border-top: 1px solid var(--line); }
.passes th { border-top: 0; }
.passes td:nth-child(n+3), .passes th:nth-child(n+3) { text-align: right; padding: 6px 0 6px 14px; }
.passes tr.warn td:nth-child(2) { color: var(--warn); } .passes tr.fail td:nth-child(2) { color: var(--fail); }
""".strip()
