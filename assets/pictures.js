"use strict";
/* The grid's pictures: where they are wanted in place of the patches, those in view are asked for, and filled in as they come. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  const CHUNK = 16;
  const MOST_ASKED = 256;
  const SETTLE_MS = 200;
  const LOOK_MS = 1000;

  const choice = lurk.kept("lurk-grid", { shows: "patches" });
  const visible = new Set();
  let layer = null;
  let parts = null;
  let timer = 0;

  /* A picture under way is shown, and is not yet drawn. */

  const isDrawn = (unit) => layer.urls.has(unit) && !lurk.isPreview(layer.urls.get(unit));

  const isOn = () => choice.shows === "pictures";

  /* What is known of a layer's pictures; a new layer starts anew, and its open request is left. */

  function begin(data) {
    if (layer) layer.isLeft = true;
    if (layer && layer.handle) layer.handle.leave();
    layer = {
      study: data.study, name: data.layer, urls: new Map(), refused: new Set(), handle: null, ask: null,
      isStopped: false, isLeft: false, isKnown: false, trouble: "",
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
    if (isOn() && !layer.isKnown) {
      layer.isKnown = true;
      learn(layer, data.order).then(soon);
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
    const drawn = [...layer.urls.keys()].filter(isDrawn).length;
    return `${drawn.toLocaleString("en")} of ${units.toLocaleString("en")} drawn`;
  }

  function tell() {
    if (!parts || !lurk.drawn || !layer) return;
    for (const button of parts.buttons) button.setAttribute("aria-pressed", String(button.dataset.shows === choice.shows));
    lurk.say(parts.note, words());
    const isBusy = Boolean(layer.handle);
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
    if (layer.handle) layer.handle.cancel();
    layer.handle = null;
  }

  function stop() {
    const isBusy = Boolean(layer.handle);
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

  function missing() {
    const { order, state } = lurk.drawn;
    return order.filter((unit, at) => visible.has(unit) && !isDrawn(unit) && !layer.refused.has(unit) && !lurk.isIdle(state[at]));
  }

  /* One request at a time, of what is in view when it begins. */

  async function next() {
    const mine = layer;
    if (!mine || !isOn() || mine.handle || mine.isStopped || mine.trouble || document.hidden) return;
    await lurk.offersOf(mine.study);
    if (mine !== layer || mine.handle || !isOn() || mine.isStopped || refusal()) return;
    const units = missing().slice(0, CHUNK);
    if (!units.length) return;
    const body = { kind: "pictures", study: mine.study, layer: mine.name, units };
    let last = 0;
    const handle = lurk.request(body, async (answer) => {
      if (mine.handle !== handle) return;
      if (lurk.isOpen(answer)) {
        if (Date.now() - last < LOOK_MS) return;
        last = Date.now();
        learn(mine, units);
        return;
      }
      await learn(mine, units);
      if (mine.handle !== handle) return;
      mine.handle = null;
      if (answer.state === "cancelled") mine.isStopped = true;
      else if (answer.state !== "done") mine.trouble = lurk.trouble(answer);
      else if (mine === layer) units.filter((unit) => !isDrawn(unit)).forEach((unit) => mine.refused.add(unit));
      tell();
      soon();
    });
    mine.handle = handle;
    tell();
  }

  document.addEventListener("visibilitychange", soon);
})();
