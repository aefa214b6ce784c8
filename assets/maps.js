"use strict";
/* What a unit saw: the chosen map beside each of its top images, all asked for at once. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  const MOST_KEPT = 600;
  const AT_ONCE = 32;
  const PLAIN = { method: "", target: "maximum", mode: "norm", boost: "0", gamma: "1", opacity: "0.7", options: {} };

  const results = new Map();
  let entries = new Map();
  let wanted = "";

  const look = (lurk.look = lurk.kept("lurk-map", PLAIN));

  lurk.mapOffer = function () {
    const offer = lurk.fitting(lurk.here().study, "map").find((one) => one.name === look.method);
    return offer && !offer.refusal ? offer : undefined;
  };

  /* A change of what is asked for asks anew; a change of how it is looked at draws anew. */

  lurk.changeMap = function (changes) {
    Object.assign(look, changes);
    lurk.keep("lurk-map", look);
    lurk.syncMaps();
    lurk.redrawMaps();
  };

  lurk.redrawMaps = function () {
    redraw(entries.values());
    lurk.redrawCloseup();
  };

  function bodyOf(place, offer, image) {
    const options = lurk.changedOptions(offer, look.options[offer.name]);
    return { kind: "map", ...place, image, method: offer.name, target: lurk.mapTarget(offer), options };
  }

  const ofSeveral = ({ image: _, ...body }, images) => ({ ...body, kind: "maps", images });

  /* Which maps are wanted follows from the unit, its images and the choice. */

  lurk.syncMaps = function () {
    const modal = document.querySelector(".unit-modal");
    const slots = modal ? [...modal.querySelectorAll(".map-slot")] : [];
    const room = modal && modal.querySelector(".wants-room");
    const { study } = lurk.here();
    const place = room ? { study, layer: room.dataset.layer, unit: Number(room.dataset.unit) } : null;
    const isHere = place && lurk.here().unit === place.unit && lurk.here().layer === place.layer;
    if (modal) lurk.drawMapBar(modal.querySelector(".map-bar"), study);
    const offer = isHere ? lurk.mapOffer() : undefined;
    for (const list of modal ? modal.querySelectorAll(".hits") : []) {
      if (offer && slots.length) list.dataset.mapped = "true";
      else if (!look.method) delete list.dataset.mapped;
    }
    const bodies = offer ? slots.map((slot) => bodyOf(place, offer, Number(slot.dataset.image))) : [];
    const signatures = bodies.map((body) => JSON.stringify(body));
    if (!offer && slots.length) slots.forEach((slot) => slot.firstChild && slot.replaceChildren());
    if (signatures.join() !== wanted) change(signatures, bodies);
    signatures.forEach((signature, at) => {
      const entry = entries.get(signature);
      if (entry.slots.includes(slots[at]) && slots[at].firstChild) return;
      for (const other of entries.values()) other.slots = other.slots.filter((slot) => slot !== slots[at] && slot.isConnected);
      entry.slots.push(slots[at]);
      slots[at].replaceChildren();
      render(entry, slots[at]);
    });
    lurk.moveCloseup();
  };

  function change(signatures, bodies) {
    wanted = signatures.join();
    const old = entries;
    entries = new Map();
    signatures.forEach((signature, at) => {
      const kept = results.get(signature);
      const fresh = { signature, body: bodies[at], ask: kept || null, handle: null, slots: [] };
      entries.set(signature, old.get(signature) || entries.get(signature) || fresh);
    });
    const held = new Set([...entries.values()].map((entry) => entry.handle));
    for (const entry of old.values()) if (entry.handle && !held.has(entry.handle)) leave(entry);
    lurk.closeupLeft(entries);
    const fresh = [...entries.values()].filter((entry) => !entry.handle && !entry.ask);
    for (let first = 0; first < fresh.length; first += AT_ONCE) ask(fresh.slice(first, first + AT_ONCE));
  }

  function leave(entry) {
    entry.handle.leave();
    if (entry.draftHandle) entry.draftHandle.leave();
  }

  /* A slow method can make coarse maps early. They are asked for once it is known that the final ones take a while. */

  function askDrafts(group) {
    const { body } = group[0];
    const draft = Object.fromEntries(lurk.mapOffer()?.draft || []);
    const names = Object.keys(draft);
    if (!names.length || group[0].draftHandle || names.some((name) => name in body.options)) return;
    const coarser = { ...body, options: { ...body.options, ...draft } };
    const hasDraft = (entry) => Boolean(entry.draft);
    const handle = follow(coarser, group, hasDraft, (entry, answer) => {
      entry.draft = resultOf(entry, answer);
      if (entry.draft && !isDone(entry)) redraw([entry]);
    });
    for (const entry of group) entry.draftHandle = handle;
  }

  function ask(group) {
    for (const entry of group) entry.ask = null;
    const handle = follow(group[0].body, group, isDone, (entry, answer) => {
      if (lurk.isOpen(answer)) askDrafts(group);
      hear(entry, answer);
    });
    for (const entry of group) entry.handle = handle;
    redraw(group);
  }

  /* One request for the maps of several images; `tell` gets what is known of each. The maps that are ready while others
     are still being drawn are asked for by themselves: their answer comes at once. */

  function follow(body, group, isThere, tell) {
    const fetched = new Set();
    const several = (some) => ofSeveral(body, some.map((entry) => entry.body.image));
    const fetchReady = async (some) => {
      if (!some.length) return;
      for (const entry of some) fetched.add(entry);
      const answer = await sendMaps(several(some));
      for (const entry of some) {
        fetched.delete(entry);
        tell(entry, answer);
      }
    };
    return lurk.request(several(group), (answer) => {
      const ready = new Set(answer.state === "done" ? [] : answer.ready);
      const waiting = () => group.filter((entry) => !isThere(entry) && !fetched.has(entry));
      fetchReady(waiting().filter((entry) => ready.has(entry.body.image)));
      for (const entry of waiting()) tell(entry, answer);
    });
  }

  async function sendMaps(body) {
    try {
      const sent = await lurk.send("/jobs", body);
      if (sent.ok && sent.body.state === "done") return sent.body;
    } catch {
      lurk.told(true);
    }
    return { state: "failed" };
  }

  const isDone = (entry) => Boolean(entry.ask && entry.ask.state === "done");

  /* What an answer for several images says of one of them. */

  const resultOf = (entry, answer) => (answer.result && answer.result.maps ? answer.result.maps[entry.body.image] : null);

  function hear(entry, answer) {
    const result = resultOf(entry, answer);
    const error = (answer.errors || {})[entry.body.image] || ["", "the map is not there"];
    if (result) entry.ask = { ...answer, result };
    else entry.ask = answer.state === "done" ? { ...answer, state: "failed", error } : answer;
    if (result) remember(entry.signature, entry.ask);
    redraw([entry]);
  }

  function redraw(group) {
    for (const entry of group) entry.slots.forEach((slot) => render(entry, slot));
  }

  function remember(signature, answer) {
    results.set(signature, answer);
    if (results.size > MOST_KEPT) results.delete(results.keys().next().value);
  }

  /* One image's map. */

  lurk.target = function (result, body) {
    const info = lurk.layerOf(body.layer);
    const [rows, columns] = (info && info.grid) || [2, 2];
    if (body.target === "class") return `the class ${result.label_name || result.label || ""}`.trim();
    if (info && info.names && !info.heads) return `the score of ${info.names[body.unit]}`;
    if (rows * columns === 1) return "its value";
    if (body.target === "map") return "its whole map";
    return columns === 1 ? `its maximum, at position ${result.row}` : `its maximum, at row ${result.row}, column ${result.col}`;
  };

  function frameOf(slot, kind) {
    const found = slot.firstElementChild;
    if (found && found.dataset.kind === kind) return found;
    const made = lurk.make(kind === "done" ? "button" : "div", { class: "map", "data-kind": kind });
    slot.replaceChildren(made);
    return made;
  }

  function render(entry, slot) {
    const view = slot.parentElement.querySelector(".view img");
    const ratio = view && view.naturalWidth ? view.naturalWidth / view.naturalHeight : 1;
    slot.style.setProperty("--ratio", String(ratio));
    const now = entry.ask;
    const result = now && now.state === "done" ? now.result : null;
    if (!result) return waiting(entry, slot, now);
    if (result.silent) return silent(slot, result);
    const frame = frameOf(slot, "done");
    const words = `${lurk.mapOffer()?.label || entry.body.method} map of ${slot.dataset.words}, for ${lurk.target(result, entry.body)}`;
    frame.type = "button";
    frame.title = "Look closer";
    frame.setAttribute("aria-label", `Look closer: ${words}`);
    frame.onclick = () => lurk.openCloseup(entry, slot, false);
    lurk.drawMap(frame, result, look, view, "");
    const scale = lurk.scaleBar(result, look, true);
    if (slot.children[1]) slot.children[1].replaceWith(scale);
    else slot.append(scale);
    return undefined;
  }

  function silent(slot, result) {
    const words = `Zero everywhere: ${result.why_silent}`;
    frameOf(slot, "silent").replaceChildren(lurk.make("p", { text: words, title: words }));
  }

  function waiting(entry, slot, now) {
    const isBusy = !now || lurk.isOpen(now);
    if (isBusy && entry.draft && !entry.draft.silent) return coarse(entry, slot);
    const frame = frameOf(slot, isBusy ? "busy" : "still");
    if (!frame.firstChild) {
      frame.append(
        lurk.make("p", {}),
        lurk.make("progress", { max: 1, value: 0, "aria-label": "Progress of the map" }),
        lurk.make("button", { type: "button", class: "link", onclick: () => ask([entry]) }),
      );
    }
    const [words, bar, button] = frame.children;
    frame.setAttribute("aria-busy", String(isBusy));
    const state = isBusy && now ? lurk.standing(now) : now && now.state === "cancelled" ? "Stopped" : now ? lurk.trouble(now) : "";
    lurk.say(words, state);
    words.title = state;
    lurk.show(bar, Boolean(now && now.state === "running" && now.total));
    if (now && now.total) bar.value = now.done / now.total;
    lurk.show(button, Boolean(now) && !isBusy);
    lurk.say(button, now && now.state === "cancelled" ? "Draw it" : "Try again");
    return undefined;
  }

  /* The coarse map, until the final one is there. */

  function coarse(entry, slot) {
    const frame = frameOf(slot, "coarse");
    const view = slot.parentElement.querySelector(".view img");
    frame.setAttribute("aria-busy", "true");
    lurk.drawMap(frame, entry.draft, look, view, `Coarse map of ${slot.dataset.words}, the final one is being drawn`);
    const words = lurk.make("p", { class: "coarse-words", text: "Coarse so far" });
    words.title = lurk.standing(entry.ask);
    if (slot.children[1]) slot.children[1].replaceWith(words);
    else slot.append(words);
  }

  lurk.firstMap = function () {
    for (const entry of entries.values()) {
      if (entry.ask && entry.ask.state === "done" && !entry.ask.result.silent && entry.slots.length) return [entry, entry.slots[0]];
    }
    return null;
  };
})();
