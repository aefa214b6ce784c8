"use strict";
/* The grid's pictures: where they are wanted in place of the patches, those in view are asked for, and filled in as they come. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  const GROUP = 8;
  const MOST_OPEN = 8;
  const MOST_ASKED = 256;
  const SETTLE_MS = 200;
  const LOOK_GROWTH = 1.5;

  const choice = lurk.kept("lurk-grid", { shows: "patches" });
  const visible = new Set();
  let layer = null;
  let parts = null;
  let timer = 0;

  /* A picture under way is shown, and is not yet drawn. */

  const isDrawn = (unit, of = layer) => of.urls.has(unit) && !lurk.isPreview(of.urls.get(unit));

  const isOn = () => choice.shows === "pictures";

  /* What is known of a layer's pictures; a new layer starts anew, and its open requests are left. */

  function begin(data) {
    if (layer) layer.isLeft = true;
    if (layer) for (const handle of layer.open.keys()) handle.leave();
    layer = {
      study: data.study, name: data.layer, urls: new Map(), refused: new Set(), open: new Map(),
      isStopped: false, isLeft: false, isAsked: false, isKnown: false, trouble: "",
    };
  }

  const path = (mine, units) =>
    `/studies/${encodeURIComponent(mine.study)}/layers/${encodeURIComponent(mine.name)}/pictures?units=${units.join(",")}`;

  async function learn(mine, units) {
    for (let at = 0; at < units.length && !mine.isLeft; at += MOST_ASKED) {
      try {
        const { ok, body } = await lurk.ask(path(mine, units.slice(at, at + MOST_ASKED)));
        if (ok) for (const [unit, url] of Object.entries(body)) mine.urls.set(Number(unit), url);
      } catch {
        lurk.told(true);
        return;
      }
    }
    if (mine === layer) paint();
  }

  lurk.syncPictures = function () {
    const data = lurk.drawn;
    if (!data) return;
    if (!layer || layer.study !== data.study || layer.name !== data.layer) begin(data);
    bar();
    watch();
    if (isOn() && !layer.isAsked) {
      const mine = layer;
      mine.isAsked = true;
      learn(mine, data.order).then(() => {
        mine.isKnown = true;
        soon();
      });
    }
    paint();
  };

  lurk.pictureMade = function (place, body) {
    const isDefault = body.method === lurk.pictureOffer(place.study, "")?.name && !Object.keys(body.options).length;
    if (isDefault && layer && isOn() && layer.study === place.study && layer.name === place.layer) learn(layer, [place.unit]);
  };

  /* The switch, and how far it is. */

  function bar() {
    const room = document.getElementById("grid-shows");
    if (!room) return;
    if (!parts || parts.room !== room || !room.firstChild) {
      const button = (shows) =>
        lurk.make("button", { type: "button", text: shows, "data-shows": shows, onclick: () => choose(shows) });
      parts = {
        room,
        buttons: [button("patches"), button("pictures")],
        note: lurk.make("span", { class: "note", role: "status" }),
        stop: lurk.make("button", { type: "button", class: "link", onclick: stop }),
      };
      const group = lurk.make("div", { class: "switch small", role: "group", "aria-label": "What the tiles show" }, ...parts.buttons);
      room.replaceChildren(group, parts.note, parts.stop);
    }
    tell();
    lurk.offersOf(layer.study);
  }

  function refusal() {
    const offers = lurk.offers(layer.study);
    const offer = lurk.pictureOffer(layer.study, "");
    if (!offers.length) return "";
    return offer ? offer.refusal : "this study offers no pictures";
  }

  function words() {
    if (!isOn()) return "";
    const why = refusal();
    if (why) return `No pictures: ${why}`;
    if (layer.trouble) return `Failed: ${layer.trouble}`;
    const units = lurk.drawn.state.filter((one) => !lurk.isIdle(one)).length;
    const drawn = [...layer.urls.keys()].filter((unit) => isDrawn(unit)).length;
    return `${drawn.toLocaleString("en")} of ${units.toLocaleString("en")} drawn`;
  }

  function tell() {
    if (!parts || !lurk.drawn || !layer) return;
    for (const button of parts.buttons) button.setAttribute("aria-pressed", String(button.dataset.shows === choice.shows));
    lurk.say(parts.note, words());
    const isBusy = layer.open.size > 0;
    const canGoOn = layer.isStopped || Boolean(layer.trouble);
    lurk.show(parts.stop, isOn() && (isBusy || canGoOn));
    lurk.say(parts.stop, isBusy ? "Stop" : layer.trouble ? "Try again" : "Go on");
  }

  function choose(shows) {
    if (choice.shows === shows) return;
    choice.shows = shows;
    lurk.keep("lurk-grid", choice);
    if (!isOn()) halt();
    else Object.assign(layer, { isStopped: false, trouble: "" });
    lurk.syncPictures();
    if (isOn()) soon();
  }

  function halt() {
    for (const handle of layer.open.keys()) handle.cancel();
    layer.open.clear();
  }

  function stop() {
    const isBusy = layer.open.size > 0;
    layer.isStopped = isBusy;
    layer.trouble = "";
    if (isBusy) halt();
    else soon();
    tell();
  }

  /* Tiles. */

  function paint() {
    const grid = document.getElementById("grid");
    if (!grid) return;
    grid.classList.toggle("with-pictures", isOn());
    if (isOn()) for (const tile of grid.querySelectorAll("button.tile")) put(tile, layer.urls.get(Number(tile.dataset.unit)));
    tell();
  }

  function put(tile, plain) {
    const url = plain && lurk.inChannels(plain);
    let cover = tile.firstElementChild;
    if (!cover) {
      cover = lurk.make("span", { class: "cover" });
      tile.append(cover);
    }
    if (!url || cover.dataset.url === url) return;
    cover.dataset.url = url;
    const image = new Image();
    image.src = url;
    image.decode().then(
      () => {
        cover.style.backgroundImage = `url("${url}")`;
        cover.classList.add("there");
      },
      () => delete cover.dataset.url,
    );
  }

  /* What is in view. */

  const seen = new IntersectionObserver((changes) => {
    for (const one of changes) {
      const unit = Number(one.target.dataset.unit);
      if (one.isIntersecting && one.target.isConnected) visible.add(unit);
      else visible.delete(unit);
    }
    soon();
  });
  let watched = null;

  function watch() {
    const first = document.querySelector("#grid button.tile");
    if (first === watched) return;
    watched = first;
    seen.disconnect();
    visible.clear();
    for (const tile of document.querySelectorAll("#grid button.tile")) seen.observe(tile);
  }

  function soon() {
    window.clearTimeout(timer);
    timer = window.setTimeout(next, SETTLE_MS);
  }

  /* The units are asked for in fixed groups of neighbours, so that people who look at the same layer ask for the same. */

  function nextGroup() {
    const { order, state } = lurk.drawn;
    const asked = new Set([...layer.open.values()].flat());
    const isMissing = (unit, at) => !isDrawn(unit) && !layer.refused.has(unit) && !asked.has(unit) && !lurk.isIdle(state[at]);
    const first = order.findIndex((unit, at) => visible.has(unit) && isMissing(unit, at));
    if (first < 0) return [];
    const begin = first - (first % GROUP);
    return order.slice(begin, begin + GROUP).filter((unit, at) => isMissing(unit, begin + at));
  }

  /* A request that is out of view makes room for one that is in view. */

  function hasRoom() {
    if (layer.open.size < MOST_OPEN) return true;
    for (const [handle, units] of layer.open) {
      if (units.some((unit) => visible.has(unit))) continue;
      handle.leave();
      layer.open.delete(handle);
      return true;
    }
    return false;
  }

  /* All that is in view and not there is asked for, a group a request; the worker first makes a draft of each. */

  async function next() {
    const mine = layer;
    if (!mine || !mine.isKnown || !isOn() || mine.isStopped || mine.trouble || document.hidden) return;
    await lurk.offersOf(mine.study);
    if (mine !== layer || !isOn() || mine.isStopped || refusal()) return;
    for (let units = nextGroup(); units.length && hasRoom(); units = nextGroup()) request(mine, units);
    tell();
  }

  function request(mine, units) {
    const body = { kind: "pictures", study: mine.study, layer: mine.name, units };
    let look = 1;
    const handle = lurk.request(body, async (answer) => {
      if (!mine.open.has(handle)) return;
      if (lurk.isOpen(answer)) {
        if (answer.done < look) return;
        look = answer.done * LOOK_GROWTH;
        learn(mine, units);
        return;
      }
      await learn(mine, units);
      if (!mine.open.delete(handle)) return;
      if (answer.state === "cancelled") mine.isStopped = true;
      else if (answer.state !== "done") fail(mine, answer);
      else units.filter((unit) => !isDrawn(unit, mine)).forEach((unit) => mine.refused.add(unit));
      if (mine !== layer) return;
      tell();
      soon();
    });
    mine.open.set(handle, units);
  }

  /* What failed for some units fails for all. */

  function fail(mine, answer) {
    mine.trouble = lurk.trouble(answer);
    for (const handle of mine.open.keys()) handle.leave();
    mine.open.clear();
  }

  document.addEventListener("visibilitychange", soon);
})();
