"""The style sheet of the report, and the script that draws its figures in the page's colours."""

CSS = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1c2330; --soft: #5d6675; --line: #e1e5eb; --accent: #2563c9;
  --green: #157347; --blue: #2563c9; --red: #c02b2b; --violet: #8437b0; --amber: #976200; --grey: #5d6675;
  --seg0: #2e86de; --seg1: #9aa3b2; --seg2: #d99a00; --seg3: #b45fd6; --seg4: #1fa37a; --seg5: #e4572e; --seg6: #6d7ae0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151b; --card: #1a1f28; --ink: #e5e9f0; --soft: #98a2b3; --line: #2c3340; --accent: #7db1ff;
    --green: #5bd19a; --blue: #7db1ff; --red: #ff8585; --violet: #d39af0; --amber: #f0bb55; --grey: #98a2b3;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: 32px 20px 60px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 2px; }
a { color: var(--accent); }
.lead, .note, .empty, footer { color: var(--soft); margin: 0; }
.note { font-size: 13.5px; margin-bottom: 12px; max-width: 90ch; }
section, .cards > div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
section { padding: 18px 20px 20px; margin-top: 18px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; margin: 20px 0 0; }
.cards > div { padding: 12px 16px; }
.cards dt { color: var(--soft); font-size: 13px; }
.cards dd { margin: 0; font-size: 21px; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.cards small { display: block; color: var(--soft); font-size: 13px; font-weight: 400; line-height: 1.4; }
.scroll { overflow: auto; max-height: 560px; }
.scroll:has(.figure) { overflow-y: hidden; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { position: sticky; top: 0; background: var(--card); color: var(--soft); font-weight: 500; white-space: nowrap; }
tbody tr:last-child td { border-bottom: 0; }
th.number, td.number { text-align: right; white-space: nowrap; }
.pill { font-size: 12.5px; font-weight: 600; color: var(--grey); white-space: nowrap; }
.pill::before {
  content: ""; display: inline-block; width: 8px; height: 8px; border-radius: 50%; background: currentColor;
  margin-right: 6px;
}
.completed, .finished { color: var(--green); } .stopped, .running { color: var(--blue); }
.failed { color: var(--red); } .infeasible { color: var(--violet); } .paused, .not-finished { color: var(--amber); }
.stack { display: flex; height: 26px; border-radius: 6px; overflow: hidden; gap: 1px; margin: 4px 0 14px; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 8px; }
.picture { display: block; max-width: 100%; }
.figure { min-height: 120px; min-width: 560px; }
footer { margin-top: 24px; font-size: 13px; }
"""

DRAW = """
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  // No button that sends the figure's data to plotly's servers.
  const config = {
    displaylogo: false, showSendToCloud: false, plotlyServerURL: "", modeBarButtonsToRemove: ["select2d", "lasso2d"],
  };
  const draw = () => {
    const colours = getComputedStyle(document.documentElement);
    const colour = name => colours.getPropertyValue(name).trim();
    for (const source of document.querySelectorAll("script[data-figure]")) {
      const figure = JSON.parse(source.textContent);
      const layout = {
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        font: {color: colour("--ink"), family: getComputedStyle(document.body).fontFamily, size: 12.5},
        modebar: {bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--accent")},
        hoverlabel: {bgcolor: colour("--card"), bordercolor: colour("--line"), font: {color: colour("--ink")}},
        ...figure.layout,
      };
      for (const axis of Object.keys(layout).filter(name => /^[xy]axis/.test(name))) {
        layout[axis] = {
          gridcolor: colour("--line"), linecolor: colour("--line"), zeroline: false, automargin: true,
          ...layout[axis],
        };
      }
      const place = document.getElementById(source.dataset.figure);
      if (layout.width) layout.width = Math.max(layout.width, place.clientWidth);
      Plotly.react(place, figure.data, layout, {...config, responsive: !layout.width});
    }
  };
  draw();
  dark.addEventListener("change", draw);
})();
"""
