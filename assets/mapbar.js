"use strict";
/* Which map is shown, of what, and how it is looked at. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  const TARGETS = { maximum: "its maximum", map: "its whole map", class: "the class" };
  const TARGETS_MEAN = {
    maximum: "Explains the unit's highest value in the image",
    map: "Explains the sum of the unit's values over all positions",
    class: "Explains the score of the class that the network finds most probable",
  };
  const MODES = {
    norm: "magnitude", blurred: "blurred", signs: "signs", overlay: "overlay", raw: "raw colours", grey: "grey",
  };
  const MODES_MEAN = {
    norm: "The size of each pixel's value",
    blurred: "The size of each pixel's value, blurred over 4 pixels",
    signs: "Blue lowers the value, red raises it",
    overlay: "The blurred size, laid over the image",
    raw: "The channels as colours; no value is grey",
    grey: "The mean of the channels; no value is grey",
  };
  const BOOSTS = ["0", "0.3", "0.5", "0.8", "1"];
  const GAMMAS = ["1", "0.7", "0.5", "0.3"];

  const labelled = (labels, titles = {}) =>
    Object.entries(labels).map(([value, label]) => ({ value, label, title: titles[value] }));

  /* What a map explains for this model: the class only where the network scores classes. */

  lurk.mapTarget = ({ no_class: none }) => (none && lurk.look.target === "class" ? "maximum" : lurk.look.target);

  const targets = ({ no_class: none }) => labelled(TARGETS, TARGETS_MEAN).filter((one) => !none || one.value !== "class");

  function methods(study) {
    const offers = lurk.fitting(study, "map").map((one) => ({
      value: one.name,
      label: one.label,
      disabled: one.refusal,
      title: one.refusal ? `Not for this model: ${one.refusal}` : one.shows,
    }));
    return [{ value: "", label: "no map" }, ...offers];
  }

  lurk.drawMapBar = function (bar, study) {
    if (!bar) return;
    const { look } = lurk;
    const count = lurk.fitting(study, "map").length;
    if (!count) lurk.offersOf(study);
    const drawn = JSON.stringify([study, count, look, lurk.isAlone]);
    if (bar.dataset.drawn === drawn && bar.firstChild) return;
    const held = bar.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    const wasOpen = Boolean(bar.querySelector("details[open]"));
    bar.dataset.drawn = drawn;
    const offer = lurk.mapOffer();
    bar.replaceChildren(choices(study, count, offer), ...(offer ? [second(offer, wasOpen)] : []));
    if (held) bar.querySelector(`[aria-label="${held}"]`)?.focus();
  };

  function choices(study, count, offer) {
    const { look } = lurk;
    const set = (name) => (value) => lurk.changeMap({ [name]: value });
    const method = lurk.select("Map beside each image", methods(study), offer ? offer.name : "", set("method"));
    if (!count) {
      method.disabled = true;
      method.options[0].textContent = lurk.isAlone ? "Maps: no worker is alive" : "Maps: loading the model…";
    }
    const row = lurk.make("div", { class: "map-row" }, method);
    if (!offer) {
      const refused = lurk.fitting(study, "map").find((one) => one.name === look.method && one.refusal);
      if (refused) row.append(lurk.make("span", { class: "note", text: `${refused.label}: not for this model, ${refused.refusal}` }));
      return row;
    }
    row.append(
      lurk.select("What the map explains", targets(offer), lurk.mapTarget(offer), set("target")),
      lurk.select("How the map is shown", labelled(MODES, MODES_MEAN), look.mode, set("mode")),
      lurk.select("Boost of weak channels", BOOSTS.map((one) => ({ value: one, label: `boost ${one}` })), look.boost, set("boost")),
      lurk.select("Gamma: below 1 brings out small values", GAMMAS.map((one) => ({ value: one, label: `gamma ${one}` })), look.gamma, set("gamma")),
    );
    return row;
  }

  function second(offer, wasOpen) {
    const row = lurk.make("div", { class: "map-row second" }, caution(offer));
    if (lurk.look.mode === "overlay") row.append(opacity());
    if (offer.options.length) row.append(options(offer, wasOpen));
    const check = () => {
      const found = lurk.firstMap();
      if (found) lurk.openCloseup(...found, true);
    };
    row.append(lurk.make("button", {
      type: "button", class: "worded small", text: "Sanity check", onclick: check,
      title: "The first image's map again with random weights, and how far the three rules agree",
    }));
    return row;
  }

  function caution(offer) {
    const words = lurk.make("summary", { text: offer.caution || offer.shows, title: `${offer.shows} ${offer.caution} ${offer.paper}` });
    return lurk.make("details", { class: "caution" }, words);
  }

  function opacity() {
    const slider = lurk.make("input", {
      type: "range", min: 0, max: 1, step: 0.05, "aria-label": "Opacity of the overlay", title: "Opacity of the overlay", class: "opacity",
    });
    slider.value = lurk.look.opacity;
    slider.addEventListener("input", () => {
      for (const image of document.querySelectorAll(".map.over .map-image")) image.style.opacity = slider.value;
    });
    slider.addEventListener("change", () => lurk.changeMap({ opacity: slider.value }));
    return slider;
  }

  function options(offer, wasOpen) {
    const form = lurk.optionForm(offer, lurk.look.options[offer.name]);
    const set = (values) => lurk.changeMap({ options: { ...lurk.look.options, [offer.name]: values } });
    const apply = () => {
      if (form.isValid()) set(form.values());
    };
    const isChanged = Object.keys(lurk.changedOptions(offer, lurk.look.options[offer.name])).length > 0;
    return lurk.make(
      "details", { class: "map-options", open: wasOpen },
      lurk.make("summary", { class: "worded small", text: isChanged ? "Options •" : "Options", title: "Options of the method" }),
      lurk.make(
        "div", { class: "variants" },
        form.element,
        lurk.make(
          "div", { class: "variants-foot" },
          lurk.make("button", { type: "button", class: "worded primary", text: "Apply", onclick: apply }),
          lurk.make("button", { type: "button", class: "worded", text: "Reset", onclick: () => set({}) }),
        ),
      ),
    );
  }
})();
