"use strict";
/* One map from near, and its sanity check: the same map with random weights, and how far the three rules agree. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  let open = null;

  lurk.closeCloseup = function () {
    if (!open) return false;
    const { room, back } = open;
    const wasThere = room.isConnected;
    if (open.handle) open.handle.leave();
    open = null;
    room.replaceChildren();
    if (wasThere && back && back.isConnected) back.focus();
    return wasThere;
  };

  lurk.closeupLeft = function (entries) {
    if (open && !entries.has(open.entry.signature)) lurk.closeCloseup();
  };

  /* Dash has drawn the images anew: the close-up goes on beside them. */

  lurk.moveCloseup = function () {
    if (!open || open.room.isConnected) return;
    const room = document.querySelector(".unit-modal .map-closeup");
    const slot = open.entry.slots.find((one) => one.isConnected);
    if (!room || !slot) return;
    Object.assign(open, { room, slot });
    build();
    render();
  };

  lurk.redrawCloseup = function () {
    if (open && open.room.isConnected) render();
  };

  lurk.openCloseup = function (entry, slot, isChecked) {
    const back = document.activeElement;
    lurk.closeCloseup();
    const room = document.querySelector(".unit-modal .map-closeup");
    if (!room) return;
    open = { entry, slot, room, back, handle: null, ask: null };
    if (isChecked) check();
    build();
    render();
    room.querySelector("button").focus();
    room.scrollIntoView({ block: "nearest" });
  };

  function check() {
    const mine = open;
    mine.ask = null;
    mine.handle = lurk.request({ ...mine.entry.body, kind: "sanity" }, (answer) => {
      mine.ask = answer;
      if (mine === open) render();
    });
  }

  function figure(words, name) {
    return lurk.make("figure", { class: `closeup-figure ${name}` }, lurk.make("div", { class: "map" }), lurk.make("figcaption", { text: words }));
  }

  function build() {
    const view = open.slot.parentElement.querySelector(".view").cloneNode(true);
    const image = lurk.make("figure", { class: "closeup-figure" }, view, lurk.make("figcaption", { text: open.slot.dataset.words }));
    const close = lurk.make("button", { type: "button", class: "sign", "aria-label": "Close the close-up", text: "×", onclick: () => lurk.closeCloseup() });
    const words = lurk.make("div", { class: "closeup-words" });
    open.room.style.setProperty("--ratio", open.slot.style.getPropertyValue("--ratio"));
    const parts = [image, figure("", "own"), figure("weights at random", "randomised"), words];
    open.room.replaceChildren(lurk.make("div", { class: "closeup", role: "group", "aria-label": "Close-up of a map" }, close, ...parts));
  }

  function put(name, result, caption) {
    const { room, slot } = open;
    const found = room.querySelector(`.closeup-figure.${name}`);
    const view = slot.parentElement.querySelector(".view img");
    lurk.drawMap(found.querySelector(".map"), result, lurk.look, view, caption);
    const outline = slot.parentElement.querySelector(".view .outline");
    if (outline && !found.querySelector(".outline")) found.querySelector(".map").append(outline.cloneNode());
    found.querySelector(".scale")?.remove();
    found.append(lurk.scaleBar(result, lurk.look));
    lurk.say(found.querySelector("figcaption"), caption);
  }

  function render() {
    const { entry, ask: now, handle, room } = open;
    const { result } = entry.ask;
    put("own", result, lurk.mapOffer()?.label || entry.body.method);
    const told = now && now.state === "done" ? now.result : null;
    const other = room.querySelector(".randomised");
    lurk.show(other, Boolean(handle));
    if (told) put("randomised", told.randomised, "the same, weights at random");
    room.querySelector(".closeup-words").replaceChildren(
      lurk.make("p", {}, `Explains ${lurk.target(result, entry.body)}: `, lurk.make("strong", { text: lurk.number(result.value, 4) })),
      ...(told ? verdict(told) : handle ? standing(now) : [caution(), offer()]),
    );
  }

  function caution() {
    const chosen = lurk.mapOffer();
    return lurk.make("p", { class: "note", text: chosen ? `${chosen.shows} ${chosen.caution}` : "", title: chosen?.paper });
  }

  const offer = () =>
    lurk.make("button", {
      type: "button", class: "worded small", text: "Sanity check",
      title: "The same map with random weights, and how far the three rules agree",
      onclick: () => {
        check();
        render();
      },
    });

  function standing(now) {
    const isBusy = !now || lurk.isOpen(now);
    if (isBusy) {
      const bar = lurk.make("progress", { max: 1, value: now && now.total ? now.done / now.total : undefined, "aria-label": "Progress of the check" });
      return [lurk.make("p", { role: "status", text: `Sanity check: ${lurk.standing(now).toLowerCase()}` }), bar];
    }
    const again = () => {
      check();
      render();
    };
    const words = now.state === "cancelled" ? "The check was stopped." : `The check failed: ${lurk.trouble(now)}`;
    return [lurk.make("p", { class: "trouble", text: words }), lurk.make("button", { type: "button", class: "worded small", text: "Try again", onclick: again })];
  }

  function meter(words, value) {
    const bar = lurk.make("span", { class: "meter", "aria-hidden": "true" });
    bar.style.setProperty("--share", String(Math.max(0, Math.min(1, value ?? 0))));
    return lurk.make("div", { class: "meter-row" }, lurk.make("dt", { text: words }), lurk.make("dd", {}, bar, lurk.make("span", { text: lurk.number(value, 2) })));
  }

  function judged(told) {
    if (told.similarity === null) return "There is nothing to compare: one of the two maps is the same everywhere.";
    return "With random weights the map becomes another one: it depends on what was learned.";
  }

  function verdict(told) {
    const rows = Object.entries(told.agreement || {}).map(([names, value]) => meter(names, value));
    const note = "Agreement of the three rules (1: the same map, 0: unrelated)";
    return [
      lurk.make("p", { class: told.warning ? "warning" : "", text: told.warning || judged(told) }),
      lurk.make("dl", { class: "meters" }, meter("Similarity to the map with random weights", told.similarity)),
      lurk.make("p", { class: "note", text: rows.length ? note : "The three rules cannot be compared for this network." }),
      lurk.make("dl", { class: "meters" }, ...rows),
    ];
  }
})();
