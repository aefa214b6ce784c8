"use strict";
/* Plotly, which draws a unit's charts, is large: it is fetched and run while the browser is idle, and draws one chart that
   nobody sees, so that the first unit's charts need not wait for it.

   The page would show no chart for good if the server were gone just then, so its files are tried first. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  const LATEST_MS = 3000;
  const FILES = ["dash/dcc/async-graph.js", "plotly/package_data/plotly.min.js"];
  const BAR = { type: "bar", orientation: "h", x: [1], y: [0], error_x: { type: "data", array: [1] } };
  const CHART = { type: "Graph", namespace: "dash_core_components", props: { figure: { data: [BAR], layout: {} } } };
  const whenIdle = window.requestIdleCallback || ((call) => window.setTimeout(call, LATEST_MS));
  let isAsked = false;

  async function isThere(file) {
    try {
      const answer = await fetch(`${lurk.prefix}/_dash-component-suites/${file}`);
      await answer.blob();
      return answer.ok;
    } catch {
      return false;
    }
  }

  async function prepare() {
    isAsked = (await Promise.all(FILES.map(isThere))).every(Boolean);
    if (isAsked) lurk.set("charts", { children: CHART });
  }

  /* Called each time that a grid is shown. */
  lurk.prepareCharts = function () {
    if (isAsked) return;
    isAsked = true;
    whenIdle(prepare, { timeout: LATEST_MS });
  };
})();
