"use strict";
/* Plotly, which draws a unit's charts, is large: it is fetched and run while the browser is idle, and draws one chart that
   nobody sees, so that the first unit's charts need not wait for it. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  const LATEST_MS = 3000;
  const BAR = { type: "bar", orientation: "h", x: [1], y: [0], error_x: { type: "data", array: [1] } };
  const CHART = { type: "Graph", namespace: "dash_core_components", props: { figure: { data: [BAR], layout: {} } } };
  const whenIdle = window.requestIdleCallback || ((call) => window.setTimeout(call, LATEST_MS));
  let isAsked = false;

  lurk.prepareCharts = function () {
    if (isAsked) return;
    isAsked = true;
    whenIdle(() => lurk.set("charts", { children: CHART }), { timeout: LATEST_MS });
  };
})();
