"use strict";
/* What a unit wants to see: its picture is asked for when the unit is looked at, and sharpens while it is drawn. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  const STAY_MS = 100;
  const DEFAULT = "gradient_ascent";
  const MOST_KEPT = 300;
  const SHIFT_PIXELS = 8;

  const results = new Map();
  const stopped = new Set();
  let shown = null;

  lurk.variant = lurk.kept("lurk-picture", { method: "", options: {} });

  /* The method that is chosen, or the default, or the first that there is. */

  lurk.pictureOffer = function (study, method = lurk.variant.method) {
    const offers = lurk.fitting(study, "picture");
    const named = (name) => offers.find((one) => one.name === name);
    return named(method) || named(DEFAULT) || offers[0];
  };

  lurk.choosePicture = function (method, options) {
    lurk.variant = { method, options };
    lurk.keep("lurk-picture", lurk.variant);
    if (shown) begin(true);
  };

  function build(room) {
    const parts = {
      image: lurk.make("img", { class: "drawn", alt: "", hidden: true }),
      thumbs: lurk.make("div", { class: "thumbs", role: "group", "aria-label": "Different pictures", hidden: true }),
      bar: lurk.make("progress", { max: 1, value: 0, "aria-label": "Progress of the picture" }),
      words: lurk.make("span", { class: "doing-words", role: "status" }),
      button: lurk.make("button", { type: "button", class: "worded", onclick: press }),
      figures: lurk.make("div", { class: "honesty" }),
      made: lurk.make("span", { class: "made" }),
      variants: lurk.make("button", {
        type: "button", class: "worded variants-button", text: "Variants", "aria-expanded": "false",
        title: "Change what is drawn, and how", onclick: () => lurk.openVariants(shown.room, shown.place),
      }),
    };
    parts.canvas = lurk.make("div", { class: "canvas" }, parts.image);
    parts.doing = lurk.make("div", { class: "doing" }, parts.bar, parts.words, parts.button);
    const foot = lurk.make("div", { class: "wants-foot" }, parts.made, parts.variants);
    room.replaceChildren(parts.canvas, parts.thumbs, foot, parts.doing, parts.figures);
    return parts;
  }

  /* Coming and going. */

  function enter(room, place) {
    const parts = shown && shown.room === room ? shown.parts : build(room);
    leave();
    shown = { room, place, parts, seen: room.dataset.seen, number: 0, handle: null, ask: null, refusal: "", timer: 0 };
    lurk.moveVariants(room);
    begin(false);
  }

  /* Dash has drawn the same unit anew: what is under way goes on in the new room. */

  function move(room) {
    Object.assign(shown, { room, parts: build(room), painted: null });
    lurk.moveVariants(room);
    render(shown);
  }

  function leave() {
    if (!shown) return;
    window.clearTimeout(shown.timer);
    if (shown.handle) shown.handle.leave();
    shown = null;
  }

  const signature = (body) => JSON.stringify(body);

  /* The figures compare with the images that have been seen so far, so they change while the sweep goes on. */

  const known = (mine) => results.get(`${signature(mine.body)} ${mine.seen}`);

  function remember(mine, ask) {
    results.set(`${signature(mine.body)} ${mine.seen}`, ask);
    if (results.size > MOST_KEPT) results.delete(results.keys().next().value);
  }

  /* Show the unit's picture where it is there already, or ask for it: at once, or when the unit is looked at a while. */

  function begin(isAtOnce) {
    const mine = shown;
    window.clearTimeout(mine.timer);
    if (mine.handle) mine.handle.leave();
    Object.assign(mine, { handle: null, ask: null, refusal: "", body: null, isStopped: false, isIdle: false, number: 0 });
    const { room } = mine;
    const { study, layer, unit } = mine.place;
    const offer = lurk.pictureOffer(study);
    if (!offer) {
      render(mine);
      lurk.offersOf(study).then(() => mine === shown && !mine.body && (lurk.pictureOffer(study) ? begin(isAtOnce) : none(mine)));
      return;
    }
    if (offer.refusal) {
      mine.refusal = offer.refusal;
      render(mine);
      return;
    }
    const options = lurk.changedOptions(offer, offer.name === lurk.variant.method ? lurk.variant.options : {});
    mine.offer = offer;
    mine.body = { kind: "picture", study, layer, unit, method: offer.name, options };
    const kept = known(mine);
    if (kept) mine.ask = kept;
    else if (isAtOnce) ask(mine);
    else if (stopped.has(signature(mine.body))) mine.isStopped = true;
    else {
      if (offer.name === DEFAULT && !Object.keys(options).length) glimpse(mine);
      mine.isIdle = Boolean(room.dataset.idle);
      if (!mine.isIdle) askSoon(mine);
    }
    render(mine);
  }

  /* The wait counts from the click. Where it is over, a timer would only wait for the charts to be drawn. */

  function askSoon(mine) {
    const restMs = STAY_MS - (performance.now() - lurk.wentAt);
    if (restMs > 0) mine.timer = window.setTimeout(() => ask(mine), restMs);
    else ask(mine);
  }

  function none(mine) {
    mine.refusal = "this study offers no pictures";
    render(mine);
  }

  /* Where the picture exists there is nothing to wait for. */

  async function glimpse(mine) {
    const { study, layer, unit } = mine.place;
    try {
      const path = `/studies/${encodeURIComponent(study)}/layers/${encodeURIComponent(layer)}/pictures?units=${unit}`;
      const { ok, body } = await lurk.ask(path);
      const isThere = ok && body[unit] && !lurk.isPreview(body[unit]);
      if (isThere && mine === shown && !mine.handle && !mine.ask) ask(mine);
    } catch {
      /* the poller tells that the server does not answer */
    }
  }

  function ask(mine) {
    window.clearTimeout(mine.timer);
    stopped.delete(signature(mine.body));
    mine.isStopped = false;
    mine.isIdle = false;
    mine.ask = null;
    const { body } = mine;
    const handle = lurk.request(body, (answer) => {
      if (answer.state === "done") remember(mine, answer);
      if (mine !== shown || mine.handle !== handle) return;
      if (answer.state === "cancelled" && mine.ask && mine.ask.preview) answer = { ...answer, preview: mine.ask.preview };
      if (lurk.isOpen(answer) && !answer.preview && mine.ask) answer = { ...answer, preview: mine.ask.preview };
      mine.ask = answer;
      if (answer.state === "done" && lurk.pictureMade) lurk.pictureMade(mine.place, body);
      render(mine);
    });
    mine.handle = handle;
    render(mine);
  }

  /* More images have been seen: the same picture, with its figures anew. */

  function again(seen) {
    const mine = shown;
    mine.seen = seen;
    if (!mine.ask || mine.ask.state !== "done") return;
    const handle = lurk.request(mine.body, (answer) => {
      if (answer.state !== "done" || mine !== shown || mine.handle !== handle) return;
      mine.ask = answer;
      remember(mine, answer);
      render(mine);
    });
    mine.handle = handle;
  }

  function press() {
    const { ask: now, handle, body } = shown;
    if (handle && (!now || lurk.isOpen(now))) {
      stopped.add(signature(body));
      handle.cancel();
    } else ask(shown);
  }

  /* What is seen of it. */

  const WORDS = {
    failed: (now) => `Failed: ${lurk.trouble(now)}`,
    refused: (now) => `Not drawn: ${lurk.trouble(now)}.`,
    cancelled: (now) => (now.total ? `Stopped at step ${now.done} of ${now.total}` : "Stopped"),
  };
  const BUTTONS = { failed: "Try again", refused: "Try again", cancelled: "Draw it" };

  function words(mine) {
    if (mine.refusal) return `Not for this model: ${mine.refusal}.`;
    if (!mine.body) return lurk.isAlone ? "No worker is alive, so no picture can be drawn." : "Waiting for the model to be loaded…";
    if (mine.isStopped) return "Stopped before it was done";
    if (mine.isIdle) return mine.room.dataset.idle;
    if (!mine.ask) return mine.handle ? "Asking…" : "";
    return (WORDS[mine.ask.state] || lurk.standing)(mine.ask);
  }

  function button(mine) {
    if (mine.refusal || !mine.body) return "";
    if (mine.isStopped) return "Draw it";
    if (mine.isIdle) return "Draw anyway";
    if (!mine.ask) return "";
    if (lurk.isOpen(mine.ask)) return mine.ask.stopping ? "" : "Cancel";
    return BUTTONS[mine.ask.state] || "";
  }

  function render(mine) {
    const { parts, ask: now } = mine;
    const result = now && now.state === "done" ? now.result : null;
    const isBusy = !mine.refusal && !mine.isStopped && !mine.isIdle && (!now || lurk.isOpen(now));
    const state = result ? "done" : isBusy ? "busy" : mine.isIdle ? "idle" : "still";
    parts.canvas.dataset.state = state;
    parts.canvas.setAttribute("aria-busy", String(isBusy));
    lurk.show(parts.doing, !result);
    parts.doing.dataset.state = now ? now.state : "";
    lurk.show(parts.bar, Boolean(now && now.state === "running" && now.total));
    if (now && now.total) parts.bar.value = now.done / now.total;
    lurk.say(parts.words, words(mine));
    lurk.say(parts.button, button(mine));
    lurk.show(parts.button, Boolean(button(mine)));
    lurk.show(parts.figures, Boolean(result));
    drawing(mine, result);
    lurk.say(parts.made, result ? made(mine, result) : mine.offer ? lurk.words(mine.offer.name) : "");
    if (!result) return;
    if (mine.painted !== result) thumbs(mine, result);
    mine.painted = result;
    parts.figures.replaceChildren(...figures(result.pictures[mine.number], mine.body.options));
  }

  function drawing(mine, result) {
    const { image, thumbs: row } = mine.parts;
    const one = result ? result.pictures[mine.number] : null;
    const plain = one ? one.url : mine.ask && mine.ask.preview;
    const url = plain && lurk.inChannels(plain);
    if (url) lurk.swap(image, url);
    else if (!mine.refusal || !url) {
      delete image.dataset.wanted;
      image.removeAttribute("src");
    }
    lurk.show(image, Boolean(url));
    const { layer, unit } = mine.place;
    image.alt = one ? `Picture drawn for ${layer} ${lurk.unitName(layer, unit)}` : url ? "The picture so far" : "";
    const mask = one && one.opacity_url ? `url("${one.opacity_url}")` : "";
    if (image.style.maskImage !== mask) image.style.maskImage = mask;
    if (!result) lurk.show(row, false);
  }

  function thumbs(mine, result) {
    const { thumbs: row } = mine.parts;
    lurk.show(row, result.pictures.length > 1);
    row.replaceChildren(
      ...result.pictures.map((one, number) =>
        lurk.make(
          "button",
          {
            type: "button", "aria-label": `Picture ${number + 1} of ${result.pictures.length}`,
            "aria-pressed": String(number === mine.number), onclick: () => choose(mine, number),
          },
          lurk.make("img", { src: lurk.inChannels(one.url), alt: "" }),
        ),
      ),
    );
  }

  function choose(mine, number) {
    if (mine !== shown) return;
    mine.number = number;
    [...mine.parts.thumbs.children].forEach((one, at) => one.setAttribute("aria-pressed", String(at === number)));
    render(mine);
  }

  function made(mine, result) {
    const changed = lurk.changedOptions(mine.offer, mine.body.options);
    const { steps } = result.options || {};
    const parts = [lurk.words(mine.offer.name), lurk.optionWords(changed)];
    if (steps && changed.steps === undefined) parts.push(`${steps} steps`);
    if (result.seconds) parts.push(lurk.seconds(result.seconds));
    return parts.filter(Boolean).join(" · ");
  }

  /* The figures that keep it honest. */

  function verdict(one) {
    if (one.percentile === null || one.percentile === undefined) return "";
    if (one.percentile >= 1) return "Its highest value is above every value on real images.";
    if (one.percentile <= 0) return "Its highest value is above no value on real images.";
    return `Its highest value is above ${lurk.percent(one.percentile)} of the values on real images.`;
  }

  function figures(one) {
    const cells = (values) => values.map((value) => lurk.make("td", { text: lurk.number(value) }));
    const row = (term, ...values) => lurk.make("tr", {}, lurk.make("th", { scope: "row", text: term }), ...cells(values));
    const head = ["The unit's value", "highest", "mean"].map((text) => lurk.make("th", { scope: "col", text }));
    const table = lurk.make(
      "table", { class: "reached" },
      lurk.make("thead", {}, lurk.make("tr", {}, ...head)),
      lurk.make(
        "tbody", {},
        row("this picture", one.reached_max, one.reached_mean),
        row(`shifted by up to ${SHIFT_PIXELS} pixels`, one.after_jitter_max, one.after_jitter_mean),
        row("best real image", one.best_real_max, one.best_real_mean),
      ),
    );
    const note = one.opacity_url ? lurk.make("p", { text: "Faded where the picture did not matter." }) : null;
    return [lurk.make("p", { text: verdict(one) }), table, note].filter(Boolean);
  }

  lurk.redrawWants = function () {
    if (!shown || !shown.body) return;
    shown.painted = null;
    render(shown);
  };

  lurk.syncWants = function () {
    const room = document.querySelector(".unit-modal .wants-room");
    if (!room || !room.dataset.unit) {
      leave();
      return;
    }
    const { study } = lurk.here();
    const place = { study, layer: room.dataset.layer, unit: Number(room.dataset.unit) };
    if (shown && lurk.same(shown.place, place)) {
      if (shown.room !== room) move(room);
      if (shown.seen !== room.dataset.seen) again(room.dataset.seen);
      return;
    }
    if (lurk.here().unit === place.unit && lurk.here().layer === place.layer) enter(room, place);
  };

  /* The modal is drawn by Dash: whatever it puts there is filled when it appears. */

  let isDue = false;

  function due() {
    lurk.syncWants(); // at once: the next frame may wait for the charts
    if (isDue) return;
    isDue = true;
    window.requestAnimationFrame(() => {
      isDue = false;
      lurk.syncMaps();
    });
  }

  const watched = { childList: true, subtree: true, attributeFilter: ["data-unit", "data-layer", "data-seen", "data-image"] };
  new MutationObserver(due).observe(document.documentElement, watched);
})();
