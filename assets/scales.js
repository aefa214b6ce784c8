"use strict";
/* The colours of maps: their scale bars, with the values at the ends. The server draws the maps with the same colours. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  const MAGNITUDE = ["#00224e", "#173870", "#424e6c", "#60646f", "#7d7c76", "#9b9476", "#bcad6c", "#ddc957", "#fee838"];
  const SIGNED = [
    "#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f",
  ];
  const GREY = ["#000000", "#ffffff"];
  const STOPS = 17;

  const colours = (mode) => (mode === "signs" ? SIGNED : mode === "raw" || mode === "grey" ? GREY : MAGNITUDE);
  const isSigned = (mode) => ["raw", "grey", "signs"].includes(mode);

  function colour(scale, share) {
    const at = Math.min(Math.max(share, 0), 1) * (scale.length - 1);
    const low = Math.min(Math.floor(at), scale.length - 2);
    return `color-mix(in srgb, ${scale[low + 1]} ${(100 * (at - low)).toFixed(1)}%, ${scale[low]})`;
  }

  /* Values run evenly from end to end; the exponent bends their colours. */

  lurk.ramp = function (mode, gamma) {
    const scale = colours(mode);
    const stops = Array.from({ length: STOPS }, (_, number) => {
      const share = number / (STOPS - 1);
      if (!isSigned(mode)) return colour(scale, share ** gamma);
      const value = 2 * share - 1;
      return colour(scale, 0.5 + 0.5 * Math.sign(value) * Math.abs(value) ** gamma);
    });
    return `linear-gradient(to right, ${stops.join(", ")})`;
  };

  lurk.scaleBar = function (result, look, isShort = false) {
    const [low, high] = lurk.scalesOf(result)[look.mode] || [null, null];
    const isBoosted = look.boost !== "0" && low !== null;
    const isEven = isShort && isSigned(look.mode) && high === -low;
    const values = isEven ? ["", `±${lurk.number(high, 2)}`] : [lurk.number(low, 2), lurk.number(high, 2)];
    const ends = isBoosted ? [isSigned(look.mode) ? "−" : "0", "+"] : values;
    const words = isBoosted
      ? "Boosted: each channel is on a scale of its own"
      : `Colours from ${lurk.number(low, 3)} to ${lurk.number(high, 3)}; values beyond have the last colour`;
    const ramp = lurk.make("span", { class: "ramp" });
    ramp.style.background = lurk.ramp(look.mode, Number(look.gamma));
    return lurk.make(
      "div", { class: "scale", role: "img", "aria-label": words, title: words },
      lurk.make("span", { text: ends[0] }), ramp, lurk.make("span", { text: ends[1] }),
    );
  };

  lurk.mapUrl = (result, look) =>
    lurk.inChannels(result.url.replace("{mode}", look.mode).replace("{boost}", look.boost).replace("{gamma}", look.gamma));

  /* A map as it is looked at: alone, or laid over its image. */

  lurk.drawMap = function (frame, result, look, view, words) {
    const isOver = look.mode === "overlay";
    let image = frame.querySelector("img.map-image");
    if (!image) {
      image = lurk.make("img", { class: "map-image" });
      frame.replaceChildren(image);
    }
    let under = frame.querySelector("img.under");
    if (isOver && !under) {
      under = lurk.make("img", { class: "under", src: view.src, alt: "" });
      frame.prepend(under);
    }
    if (under) lurk.show(under, isOver);
    frame.classList.toggle("over", isOver);
    image.alt = words;
    image.style.opacity = isOver ? look.opacity : "";
    lurk.swap(image, lurk.mapUrl(result, look));
  };
})();
