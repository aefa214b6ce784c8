"use strict";
/* Which channels are shown of images that have other than one or three: three as colours, or one in grey. */
(function () {
  const lurk = (window.lurk = window.lurk || {});
  window.dash_clientside = window.dash_clientside || {};
  const page = (window.dash_clientside.lurk = window.dash_clientside.lurk || {});

  const COLOURS = ["red", "green", "blue"];
  const KEY = "lurk-channels";

  lurk.channels = "";

  /* The address of the same image in the channels that are shown. */

  lurk.inChannels = function (url) {
    return lurk.channels && url.startsWith(`${lurk.prefix}/media/`) ? `${url}/c/${lurk.channels}` : url;
  };

  lurk.scalesOf = function (result) {
    const alone = (result.channel_scales || [])[Number(lurk.channels || NaN)];
    return alone || result.scales || {};
  };

  function kept() {
    try {
      return JSON.parse(window.localStorage.getItem(KEY)) || {};
    } catch {
      return {};
    }
  }

  function keep(study, choice) {
    try {
      window.localStorage.setItem(KEY, JSON.stringify({ ...kept(), [study]: choice }));
    } catch {
      /* a browser that keeps nothing still shows the choice until the page is left */
    }
  }

  const usual = (count) => (count > 2 ? "0-1-2" : "0");

  function fits(choice, count) {
    const numbers = typeof choice === "string" ? choice.split("-").map(Number) : [];
    const isWhole = numbers.every((number) => Number.isInteger(number) && number >= 0 && number < count);
    return isWhole && [1, 3].includes(numbers.length);
  }

  function choose(study, count, choice) {
    keep(study, choice);
    lurk.channels = choice;
    draw(study, count);
    lurk.set("channels", { data: choice });
    lurk.redrawWants();
    lurk.redrawMaps();
    lurk.syncPictures();
  }

  function draw(study, count) {
    const room = document.getElementById("channels-room");
    if (!room) return;
    room.hidden = !lurk.channels;
    if (!lurk.channels) return;
    const numbers = lurk.channels.split("-");
    const each = Array.from({ length: count }, (_, number) => number);
    const grey = each.map((number) => ({ value: String(number), label: `channel ${number} in grey` }));
    const ways = count > 2 ? [{ value: "0-1-2", label: "three as colours" }, ...grey] : grey;
    const isColours = numbers.length === 3;
    const set = (value) => choose(study, count, value);
    const way = lurk.select("How channels are shown", ways, isColours ? "0-1-2" : numbers[0], set);
    const selects = isColours ? COLOURS.map((colour, at) => one(study, count, numbers, colour, at)) : [];
    const held = room.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    const title = lurk.make("h2", { text: "Channels" });
    room.replaceChildren(title, way, lurk.make("div", { class: "channel-row" }, ...selects));
    if (held) room.querySelector(`[aria-label="${held}"]`)?.focus();
  }

  function one(study, count, numbers, colour, at) {
    const options = Array.from({ length: count }, (_, number) => ({ value: String(number), label: `${number}` }));
    const set = (value) => choose(study, count, numbers.map((old, place) => (place === at ? value : old)).join("-"));
    const select = lurk.select(`Channel shown in ${colour}`, options, numbers[at], set);
    return lurk.make("label", { class: "channel" }, lurk.make("span", { text: colour }), select);
  }

  page.channels = function (known, old) {
    const count = known && known.study ? known.channels : 0;
    const found = known && known.study ? kept()[known.study] : "";
    const hasChoice = count > 1 && count !== 3;
    lurk.channels = !hasChoice ? "" : fits(found, count) ? found : usual(count);
    if (known) draw(known.study, count);
    return lurk.changed(lurk.channels, old);
  };
})();
