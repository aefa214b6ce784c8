"use strict";
/* What the methods of a study offer: asked for once, and turned into forms. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  const RETRY_MS = 2000;
  const MAIN = ["objective", "direction", "preset", "diversity"];
  const known = new Map();
  const asked = new Map();

  lurk.offers = (study) => known.get(study) || [];

  /* Kept when the study's offers are there; a worker publishes them once it has loaded the model. */

  lurk.offersOf = function (study) {
    if (!asked.has(study)) asked.set(study, patiently(study));
    return asked.get(study);
  };

  async function patiently(study) {
    for (;;) {
      try {
        const { ok, body } = await lurk.ask(`/studies/${encodeURIComponent(study)}/methods`);
        if (ok && body.length) {
          known.set(study, body);
          lurk.syncMaps();
          lurk.syncPictures();
          return body;
        }
      } catch {
        lurk.told(true);
      }
      await lurk.pause(document.hidden ? 5 * RETRY_MS : RETRY_MS);
    }
  }

  /* Offers that fit a unit: pictures need no image, maps need one. */

  lurk.fitting = function (study, gives) {
    return lurk
      .offers(study)
      .filter((one) => one.gives === gives && one.needs.includes("unit") && one.needs.includes("image") === (gives === "map"));
  };

  /* Only what differs from the defaults, and only what the method has. */

  lurk.changedOptions = function (offer, values) {
    const changed = {};
    for (const option of offer.options) {
      const value = (values || {})[option.name];
      if (value !== undefined && value !== option.default) changed[option.name] = value;
    }
    return changed;
  };

  let fields = 0;

  function field(option, value) {
    const id = `option-${(fields += 1)}`;
    const shared = { id, name: option.name, title: option.help };
    if (option.choices.length) {
      const made = option.choices.map((one) => lurk.make("option", { value: one, text: lurk.words(one) }));
      const select = lurk.make("select", { ...shared, class: "choice" }, ...made);
      select.value = value;
      return { input: select, read: () => select.value };
    }
    if (typeof option.default === "boolean") {
      const box = lurk.make("input", { ...shared, type: "checkbox" });
      box.checked = value;
      return { input: box, read: () => box.checked };
    }
    if (typeof option.default === "number") {
      const bounds = { min: option.low, max: option.high, step: "any", required: true };
      const input = lurk.make("input", { ...shared, ...bounds, type: "number", value });
      return { input, read: () => input.valueAsNumber };
    }
    const input = lurk.make("input", { ...shared, type: "text", value });
    return { input, read: () => input.value };
  }

  function row(option, made) {
    const label = lurk.make("label", { for: made.input.id, title: option.help, text: lurk.words(option.name) });
    return lurk.make("div", { class: "option-row" }, label, made.input);
  }

  /* A form of an offer's options: the main ones first, the rest behind “More”. */

  lurk.optionForm = function (offer, values) {
    const made = new Map();
    const rows = new Map();
    for (const option of offer.options) {
      const one = field(option, (values || {})[option.name] ?? option.default);
      made.set(option.name, one);
      rows.set(option.name, row(option, one));
    }
    const names = offer.options.map((one) => one.name);
    const found = MAIN.filter((name) => rows.has(name));
    const main = found.length || names.length > 5 ? found : names;
    const rest = names.filter((name) => !main.includes(name));
    const form = lurk.make("div", { class: "options" }, ...main.map((name) => rows.get(name)));
    if (rest.length) {
      const isChanged = rest.some((name) => (values || {})[name] !== undefined);
      const words = main.length ? "More" : "Options";
      const more = lurk.make("details", { class: "more", open: isChanged }, lurk.make("summary", { text: words }));
      more.append(...rest.map((name) => rows.get(name)));
      form.append(more);
    }
    return {
      element: form,
      isValid: () => [...made.values()].every((one) => one.input.reportValidity()),
      values: () =>
        lurk.changedOptions(offer, Object.fromEntries([...made].map(([name, one]) => [name, one.read()]))),
    };
  };

  lurk.optionWords = (options) =>
    Object.entries(options)
      .map(([name, value]) => (value === true ? lurk.words(name) : `${lurk.words(name)} ${lurk.words(String(value))}`))
      .join(" · ");
})();
