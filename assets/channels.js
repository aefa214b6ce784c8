"use strict";
/* Which channels are shown of images that have more than one: three as colours, or one in grey. */
(function () {
  const lurk = (window.lurk = window.lurk || {});
  window.dash_clientside = window.dash_clientside || {};
  const page = (window.dash_clientside.lurk = window.dash_clientside.lurk || {});

  const COLOURS = ["red", "green", "blue"];
  const KEY = "lurk-channels";

  lurk.channels = "";

  /* The address of the same image in the channels that are shown. */

  lurk.inChannels = function (url) {
    const isOurs = lurk.isPreview(url) || url.startsWith(`${lurk.prefix}/media/`);
    return lurk.channels && isOurs ? url.replace(/(?=\?|$)/, `/c/${lurk.channels}`) : url;
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

  const COLOUR = 3;
  const usual = (count) => (count === COLOUR ? "" : count > 2 ? "0-1-2" : "0");

  function fits(choice, count) {
    if (choice === "") return count === COLOUR;
    const numbers = typeof choice === "string" ? choice.split("-").map(Number) : [];
    const isWhole = numbers.every((number) => Number.isInteger(number) && number >= 0 && number < count);
    return isWhole && (count === COLOUR ? [1] : [1, 3]).includes(numbers.length);
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
    room.hidden = count < 2;
    if (count < 2) return;
    const numbers = lurk.channels.split("-");
    const each = Array.from({ length: count }, (_, number) => number);
    const grey = each.map((number) => ({ value: String(number), label: `channel ${number} in grey` }));
    const colours = { value: usual(count), label: count === COLOUR ? "as colours" : "three as colours" };
    const ways = count > 2 ? [colours, ...grey] : grey;
    const isColours = numbers.length === 3;
    const set = (value) => choose(study, count, value);
    const way = lurk.select("How channels are shown", ways, isColours ? colours.value : numbers[0], set);
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
    lurk.channels = count < 2 ? "" : fits(found, count) ? found : usual(count);
    if (known) draw(known.study, count);
    return lurk.changed(lurk.channels, old);
  };
})();
