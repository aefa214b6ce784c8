"use strict";
/* The address is what the page shows: it is read here into stores, and every choice is written to it. */
(function () {
  const lurk = (window.lurk = window.lurk || {});
  window.dash_clientside = window.dash_clientside || {};
  const page = (window.dash_clientside.lurk = window.dash_clientside.lurk || {});

  lurk.same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
  lurk.changed = (value, old) => (lurk.same(value, old) ? window.dash_clientside.no_update : value);
  lurk.set = (id, props) => window.dash_clientside.set_props(id, props);
  lurk.layers = [];

  function part(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }

  lurk.read = function (path) {
    const parts = lurk.inside(path || "/").replace(/^\/+|\/+$/g, "").split("/").map(part);
    if (parts.length === 1 && parts[0] === "") return { page: "home" };
    if (parts.length === 1 && parts[0] === "jobs") return { page: "jobs" };
    if (parts[0] !== "s" || parts.length < 2 || parts.length > 4 || parts.includes("")) return { page: "missing" };
    if (parts.length < 4) return { page: "study", study: parts[1], layer: parts[2] };
    if (!/^\d{1,9}$/.test(parts[3])) return { page: "missing" };
    return { page: "study", study: parts[1], layer: parts[2], unit: Number(parts[3]) };
  };

  lurk.write = (...parts) => `${lurk.prefix}/s/` + parts.map((one) => encodeURIComponent(one)).join("/");

  lurk.wentAt = -Infinity;

  lurk.go = function (path) {
    if (path === window.location.pathname) return;
    lurk.wentAt = performance.now();
    lurk.set("url", { pathname: path });
  };

  /* A study opens at its last layer that has positions: close to the answer, and with tiles of what its units look at. */

  function openingLayer() {
    const placed = lurk.layers.filter((one) => one.grid[0] * one.grid[1] > 1 && !one.names);
    const opening = placed[placed.length - 1] || lurk.layers[lurk.layers.length - 1];
    return opening ? opening.name : null;
  }

  lurk.layerOf = (name) => lurk.layers.find((one) => one.name === name);

  lurk.unitName = function (layer, unit) {
    const info = lurk.layerOf(layer);
    return info && info.names ? info.names[unit] : `unit ${unit}`;
  };

  lurk.here = () => lurk.read(window.location.pathname);

  page.page = function (path, studies, oldPage, oldStudy) {
    const place = lurk.read(path);
    lurk.known = studies;
    if (place.page === "home" && studies.length === 1) Object.assign(place, { page: "study", study: studies[0] });
    const study = studies.includes(place.study) ? place.study : null;
    lurk.watch(place.page, study);
    return [lurk.changed(place.page, oldPage), lurk.changed(study, oldStudy)];
  };

  page.place = function (path, study, known, oldLayer, oldUnit) {
    const asked = lurk.read(path);
    lurk.layers = known && known.study === study ? known.layers : [];
    const name = asked.page === "study" && asked.layer !== undefined ? asked.layer : openingLayer();
    const info = lurk.layers.find((one) => one.name === name);
    const layer = study && info ? { study, layer: name } : null;
    const hasUnit = layer && asked.unit !== undefined && asked.unit < info.units;
    const unit = hasUnit ? { study, layer: name, unit: asked.unit } : null;
    const words = unit ? `${name} ${lurk.unitName(name, unit.unit)}` : layer ? name : asked.page === "jobs" ? "Jobs" : "";
    document.title = [words, study, "Torchlurk"].filter(Boolean).join(" · ");
    return [lurk.changed(layer, oldLayer), lurk.changed(unit, oldUnit)];
  };

  page.showPage = function (shown, isFine) {
    return ["home", "study", "jobs"].map((one) => !isFine || shown !== one);
  };

  function position(name) {
    return lurk.layers.findIndex((one) => one.name === name);
  }

  function preview(number) {
    const info = lurk.layers[number];
    return info ? `${number + 1} of ${lurk.layers.length}: ${info.name}` : "";
  }

  /* Dash's dropdown puts an element into the tab order that it hides from assistive technology; its button belongs there. */
  let mended = null;

  function tabOrder() {
    const hidden = mended.querySelector("input.dash-dropdown-focus-target");
    const button = document.getElementById("layer-choice");
    if (hidden && hidden.tabIndex !== -1) hidden.tabIndex = -1;
    if (button && button.tabIndex !== 0) button.tabIndex = 0;
  }

  function mendDropdown() {
    const frame = document.querySelector(".choice-frame");
    if (!frame || frame === mended) return;
    mended = frame;
    new MutationObserver(tabOrder).observe(frame, { attributeFilter: ["tabindex"], childList: true, subtree: true });
    tabOrder();
  }

  page.showLayer = function (place, known, oldChoice) {
    mendDropdown();
    const count = known ? known.layers.length : 0;
    if (!place) return [lurk.changed(null, oldChoice), Math.max(count - 1, 0), 0, ""];
    const number = known.layers.findIndex((one) => one.name === place.layer);
    const slider = document.getElementById("layer-slider");
    if (slider) slider.setAttribute("aria-valuetext", place.layer);
    const words = number < 0 ? "" : `${number + 1} of ${count}`;
    return [lurk.changed(place.layer, oldChoice), Math.max(count - 1, 0), Math.max(number, 0), words];
  };

  function showLayer(name) {
    const { study } = lurk.watched;
    if (study && name && position(name) >= 0) lurk.go(lurk.write(study, name));
  }

  page.chooseLayer = function (name) {
    const asked = lurk.here();
    const shown = asked.layer ?? openingLayer();
    if (name && name !== shown) showLayer(name);
  };

  document.addEventListener("input", (event) => {
    if (event.target.id !== "layer-slider") return;
    const words = preview(Number(event.target.value));
    event.target.setAttribute("aria-valuetext", words);
    lurk.set("layer-preview", { children: words });
  });

  document.addEventListener("change", (event) => {
    if (event.target.id !== "layer-slider") return;
    const info = lurk.layers[Number(event.target.value)];
    if (info) showLayer(info.name);
  });

  /* The unit's modal. */

  function order(place) {
    const drawn = lurk.drawn;
    if (drawn && drawn.layer === place.layer && drawn.study === place.study) return drawn.order;
    const info = lurk.layers.find((one) => one.name === place.layer);
    return info ? Array.from({ length: info.units }, (_, unit) => unit) : [];
  }

  function neighbour(place, step) {
    const units = order(place);
    const at = units.indexOf(place.unit);
    return at < 0 ? undefined : units[at + step];
  }

  function walk(step) {
    const place = lurk.here();
    if (place.unit === undefined) return;
    const next = neighbour(place, step);
    if (next !== undefined) lurk.go(lurk.write(place.study, place.layer, next));
  }

  let opened = null;

  page.openUnit = function (place, isOpen) {
    if (place) opened = place.unit;
    else if (isOpen && opened !== null) window.setTimeout(() => lurk.focusUnit(opened), 50);
    return lurk.changed(Boolean(place), isOpen);
  };

  page.closeUnit = function (isOpen) {
    const place = lurk.here();
    if (!isOpen && place.unit !== undefined) lurk.go(lurk.write(place.study, place.layer));
  };

  page.walkEnds = function (place) {
    if (!place) return [true, true];
    return [neighbour(place, -1) === undefined, neighbour(place, 1) === undefined];
  };

  page.pressKind = function (kind) {
    return [kind === "max" ? "true" : "false", kind === "mean" ? "true" : "false"];
  };

  const CLICKS = {
    "unit-previous": () => walk(-1),
    "unit-next": () => walk(1),
    "unit-close": () => page.closeUnit(false),
    "kind-max": () => lurk.set("kind", { data: "max" }),
    "kind-mean": () => lurk.set("kind", { data: "mean" }),
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[id]");
    if (button && CLICKS[button.id]) CLICKS[button.id]();
  });

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable], .skipped-modal")) return;
    if (event.key === "Escape") page.closeUnit(false); // the modal's own key may come while the next unit is drawn
    if (event.defaultPrevented) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined || lurk.here().unit === undefined) return;
    event.preventDefault();
    walk(step);
  });

  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.help[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });
})();
