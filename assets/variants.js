"use strict";
/* The variants of a unit's picture: method and options, behind one button. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  let panel = null;
  let opener = null;

  function close(isBack) {
    if (!panel) return false;
    const wasThere = panel.isConnected;
    panel.remove();
    panel = null;
    if (opener) {
      opener.setAttribute("aria-expanded", "false");
      if (isBack && opener.isConnected) opener.focus();
    }
    return wasThere;
  }

  lurk.moveVariants = function (room) {
    if (!panel || panel.isConnected) return;
    opener = room.querySelector(".variants-button");
    opener.setAttribute("aria-expanded", "true");
    room.append(panel);
  };

  lurk.openVariants = function (room, place) {
    const button = room.querySelector(".variants-button");
    if (panel && panel.isConnected) {
      close(true);
      return;
    }
    opener = button;
    opener.setAttribute("aria-expanded", "true");
    panel = lurk.make("div", { class: "variants", role: "group", "aria-label": "Variants of the picture" });
    room.append(panel);
    const chosen = lurk.pictureOffer(place.study);
    if (chosen) fill(place, chosen, chosen.name === lurk.variant.method ? lurk.variant.options : {});
    else panel.append(lurk.make("p", { text: "The model is still being loaded." }));
    const first = panel.querySelector("select, input");
    if (first) first.focus();
  };

  function fill(place, offer, options) {
    const offers = lurk.fitting(place.study, "picture");
    const choices = offers.map((one) => ({
      value: one.name, label: one.label, disabled: one.refusal, title: one.refusal ? `Not for this model: ${one.refusal}` : one.shows,
    }));
    const method = lurk.select("Method", choices, offer.name, (name) => {
      fill(place, offers.find((one) => one.name === name), {});
      panel.querySelector("select").focus();
    });
    const form = lurk.optionForm(offer, options);
    const draw = () => {
      if (form.isValid()) lurk.choosePicture(offer.name, form.values());
    };
    const reset = () => {
      lurk.choosePicture("", {});
      fill(place, lurk.pictureOffer(place.study), {});
    };
    panel.replaceChildren(
      lurk.make(
        "div", { class: "variants-top" },
        lurk.make("h3", { text: "Variants" }),
        lurk.make("button", { type: "button", class: "sign", "aria-label": "Close the variants", text: "×", onclick: () => close(true) }),
      ),
      lurk.make("div", { class: "option-row" }, lurk.make("span", { text: "method", "aria-hidden": "true" }), method),
      lurk.make("p", { class: "shows", text: offer.shows, title: offer.paper }),
      form.element,
      lurk.make(
        "div", { class: "variants-foot" },
        lurk.make("button", { type: "button", class: "worded primary", text: "Draw", onclick: draw }),
        lurk.make("button", { type: "button", class: "worded", text: "Reset", onclick: reset }),
      ),
    );
    form.element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.matches("input")) draw();
    });
  }

  /* Escape closes what was opened last, before the modal hears of it. */

  window.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape") return;
      if (close(true) || lurk.closeCloseup()) {
        event.stopImmediatePropagation();
        event.preventDefault();
      }
    },
    true,
  );
})();
