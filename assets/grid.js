"use strict";
/* The grid of units: real buttons cut from sprites, one listener for all of them, one of them in the tab order. */
(function () {
  const lurk = (window.lurk = window.lurk || {});
  window.dash_clientside = window.dash_clientside || {};
  const page = (window.dash_clientside.lurk = window.dash_clientside.lurk || {});

  const GAP = 4;
  const SIDES = [96, 88, 80, 72];
  const PATIENCE_MS = 200;
  const SKELETONS = 60;
  const NEARLY = "320px 0px";

  /* Units that no image excites: their tiles are hatched, and they are drawn only where somebody asks for it. */

  const IDLE = ["dead", "constant"];
  lurk.isIdle = (state) => IDLE.includes(state);

  let cells = new Map();
  const inView = new Set();
  const asked = new Map();
  let waiting = 0;
  let current = null;
  let selected = null;

  const element = () => document.getElementById("grid");
  const spriteOf = (unit, data) => Math.floor(unit / data.per_sprite);

  function fit(grid, count, tile) {
    const width = grid.clientWidth;
    const height = window.innerHeight - grid.getBoundingClientRect().top - window.scrollY - 24;
    const columns = (side) => Math.max(1, Math.floor((width + GAP) / (side + GAP)));
    const fits = SIDES.find((side) => side <= tile * 1.5 && Math.ceil(count / columns(side)) * (side + GAP) <= height);
    const least = fits || Math.min(tile, 64);
    const full = Math.floor((width + GAP) / columns(least)) - GAP;
    grid.style.setProperty("--side", `${Math.max(32, full)}px`);
  }

  function refit() {
    const grid = element();
    if (grid && lurk.drawn) fit(grid, lurk.drawn.order.length, lurk.drawn.tile);
  }

  /* The heading is as wide as the grid. Both have no width while the page is hidden. */

  const sized = new ResizeObserver(refit);

  function skeleton(grid, count) {
    lurk.drawn = null;
    cells = new Map();
    current = selected = null;
    const tiles = Array.from({ length: count }, () => {
      const tile = document.createElement("span");
      tile.className = "tile";
      return tile;
    });
    grid.replaceChildren(...tiles);
    grid.classList.add("waiting");
    grid.setAttribute("aria-busy", "true");
    fit(grid, count, 64);
  }

  function button(unit, data) {
    const tile = document.createElement("button");
    const at = unit % data.per_sprite;
    tile.type = "button";
    tile.dataset.unit = unit;
    tile.tabIndex = -1;
    tile.style.backgroundImage = `var(--sprite-${spriteOf(unit, data)})`;
    tile.style.setProperty("--x", at % data.columns);
    tile.style.setProperty("--y", Math.floor(at / data.columns));
    return tile;
  }

  function build(grid, data) {
    cells = new Map(data.order.map((unit) => [unit, button(unit, data)]));
    current = selected = null;
    for (const name of Array.from(grid.style)) if (name.startsWith("--sprite-")) grid.style.removeProperty(name);
    grid.style.setProperty("--columns", data.columns);
    grid.replaceChildren(...cells.values());
    grid.classList.remove("waiting");
    grid.removeAttribute("aria-busy");
    fit(grid, data.order.length, data.tile);
    sized.disconnect();
    sized.observe(grid.previousElementSibling);
    grid.scrollTop = 0;
    seen.disconnect();
    inView.clear();
    asked.clear();
    for (const tile of cells.values()) seen.observe(tile);
  }

  function reorder(grid, data) {
    grid.replaceChildren(...data.order.map((unit) => cells.get(unit)));
  }

  function describe(data) {
    data.order.forEach((unit, at) => {
      const tile = cells.get(unit);
      const state = data.score[at] === null && data.state[at] !== "constant" ? "empty" : data.state[at];
      if (data.names) tile.dataset.name = data.names[at].replace(/^class /, "");
      if (tile.className !== `tile ${state}`) tile.className = `tile ${state}`;
      if (tile.title !== data.labels[at]) {
        tile.title = data.labels[at];
        tile.setAttribute("aria-label", data.labels[at]);
      }
    });
  }

  /* Only sprites of which a tile is in view, or nearly, are asked for. */

  const seen = new IntersectionObserver((changes) => {
    for (const one of changes) {
      if (one.isIntersecting && one.target.isConnected) inView.add(one.target);
      else inView.delete(one.target);
    }
    if (lurk.drawn) paint(element(), lurk.drawn);
  }, { rootMargin: NEARLY });

  function paint(grid, data) {
    const numbers = new Set(Array.from(inView, (tile) => spriteOf(Number(tile.dataset.unit), data)));
    for (const number of numbers) show(grid, number, data.sprites[number]);
  }

  function show(grid, number, plain) {
    const url = lurk.inChannels(plain);
    const name = `--sprite-${number}`;
    const value = `url("${url}")`;
    if (asked.get(name) === url) return;
    asked.set(name, url);
    const image = new Image();
    image.src = url;
    image.decode().then(
      () => {
        const isShown = lurk.drawn && lurk.drawn.sprites[number] === plain && lurk.inChannels(plain) === url;
        if (isShown) grid.style.setProperty(name, value);
        lurk.prepareCharts();
      },
      () => asked.delete(name), // a newer checkpoint has replaced this sprite; its own address comes with the next data
    );
  }

  function rove(unit) {
    const next = cells.get(unit) || cells.values().next().value;
    if (!next) return;
    if (current && current !== next) current.tabIndex = -1;
    current = next;
    current.tabIndex = 0;
  }

  function select(place) {
    const next = place ? cells.get(place.unit) : null;
    if (selected && selected !== next) selected.removeAttribute("aria-current");
    if (next && selected !== next) {
      next.setAttribute("aria-current", "true");
      next.scrollIntoView({ block: "nearest" });
    }
    selected = next || null;
    rove(place ? place.unit : current ? Number(current.dataset.unit) : undefined);
  }

  function hold(grid, place) {
    const info = place && lurk.layers.find((one) => one.name === place.layer);
    const count = info ? Math.min(info.units, 2048) : SKELETONS;
    window.clearTimeout(waiting);
    waiting = window.setTimeout(() => skeleton(grid, count), lurk.drawn ? PATIENCE_MS : 0);
    return "";
  }

  page.drawGrid = function (data, place, unit) {
    const grid = element();
    if (!grid) return "";
    if (!data || !place || data.layer !== place.layer || data.study !== place.study) return hold(grid, place);
    window.clearTimeout(waiting);
    const old = lurk.drawn;
    const sameUnits = old && old.layer === data.layer && old.study === data.study && cells.size === data.order.length;
    lurk.drawn = data;
    if (!sameUnits) build(grid, data);
    else if (!lurk.same(old.order, data.order)) reorder(grid, data);
    describe(data);
    paint(grid, data);
    select(unit && unit.layer === data.layer && unit.study === data.study ? unit : null);
    lurk.syncPictures();
    return note(data);
  };

  function note(data) {
    const words = [lurk.counted(data.units, "unit")];
    for (const idle of IDLE) {
      const count = data.state.filter((state) => state === idle).length;
      if (count) words.push(`${count.toLocaleString("en")} ${idle}`);
    }
    return words.join(", ");
  }

  lurk.focusUnit = function (unit) {
    const tile = cells.get(unit);
    if (!tile || lurk.here().unit !== undefined) return;
    rove(unit);
    tile.focus();
  };

  function step(key, grid) {
    const columns = window.getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    return { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -Infinity, End: Infinity }[key];
  }

  document.addEventListener("keydown", (event) => {
    const tile = event.target.closest("#grid button.tile");
    if (!tile || !lurk.drawn) return;
    const by = step(event.key, element());
    if (by === undefined) return;
    event.preventDefault();
    const { order } = lurk.drawn;
    const at = order.indexOf(Number(tile.dataset.unit)) + by;
    if (Number.isFinite(at) && (at < 0 || at >= order.length)) return;
    const unit = order[Math.max(0, Math.min(order.length - 1, at))];
    rove(unit);
    current.focus();
  });

  document.addEventListener("click", (event) => {
    const tile = event.target.closest("#grid button.tile");
    if (!tile || !lurk.drawn) return;
    rove(Number(tile.dataset.unit));
    lurk.go(lurk.write(lurk.drawn.study, lurk.drawn.layer, tile.dataset.unit));
  });

  window.addEventListener("resize", refit);
})();
