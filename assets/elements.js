"use strict";
/* How the scripts make elements, and write numbers, times and addresses. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  /* The path under which a proxy shows the page: addresses begin with it, what is read of them does not. */

  lurk.prefix = document.documentElement.dataset.prefix;

  lurk.inside = function (path) {
    const isBelow = path === lurk.prefix || path.startsWith(`${lurk.prefix}/`);
    return isBelow ? path.slice(lurk.prefix.length) : path;
  };

  lurk.isPreview = (url) => url.startsWith(`${lurk.prefix}/preview/`);

  lurk.make = function (tag, props, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(props || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (name === "class") made.className = value;
      else if (name === "text") made.textContent = value;
      else if (name === "value") made.value = value;
      else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return made;
  };

  lurk.say = function (element, words) {
    if (element.textContent !== words) element.textContent = words;
  };

  lurk.show = function (element, isShown) {
    if (element.hidden === isShown) element.hidden = !isShown;
  };

  lurk.counted = (count, noun) => `${Number(count).toLocaleString("en")} ${noun}${Number(count) === 1 ? "" : "s"}`;

  lurk.number = function (value, digits = 3) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (!size) return "0";
    const isLong = size < 1e-3 || size >= 1e5;
    const words = isLong ? value.toExponential(digits - 1) : size >= 10 ** digits ? value.toFixed(0) : value.toPrecision(digits);
    return words.replaceAll("-", "−").replace("e+", "e");
  };

  lurk.percent = function (share) {
    const percent = 100 * share;
    if (percent === 0 || percent === 100) return `${percent} %`;
    if (percent > 99.99) return "99.99 %";
    if (percent < 0.01) return "0.01 %";
    const digits = percent > 99 || percent < 1 ? 2 : 1;
    const cut = 10 ** digits;
    return `${Math.floor(percent * cut) / cut} %`;
  };

  lurk.seconds = function (seconds) {
    if (seconds === null || seconds === undefined) return "";
    return seconds < 10 ? `${lurk.number(seconds, 2)} s` : `${Math.round(seconds)} s`;
  };

  lurk.words = (name) => name.replaceAll("_", " ");

  /* A choice that lasts as long as the tab. */

  lurk.kept = function (name, otherwise) {
    try {
      return { ...otherwise, ...JSON.parse(window.sessionStorage.getItem(name)) };
    } catch {
      return { ...otherwise };
    }
  };

  lurk.keep = function (name, value) {
    try {
      window.sessionStorage.setItem(name, JSON.stringify(value));
    } catch {
      /* a browser that keeps nothing still shows the choice until the page is left */
    }
  };

  /* A select with a name for those who do not see it. */

  lurk.select = function (label, options, value, choose) {
    const made = options.map((one) =>
      lurk.make("option", { value: one.value, text: one.label, title: one.title, disabled: Boolean(one.disabled) }),
    );
    const select = lurk.make("select", { class: "choice", "aria-label": label, title: label }, ...made);
    select.value = value;
    select.addEventListener("change", () => choose(select.value));
    return select;
  };

  /* An image that takes the place of another one only once it is there. */

  lurk.swap = function (image, url) {
    if (image.dataset.wanted === url) return;
    image.dataset.wanted = url;
    const next = new Image();
    next.src = url;
    next.decode().then(
      () => {
        if (image.dataset.wanted === url) image.src = url;
      },
      () => {
        if (image.dataset.wanted === url) delete image.dataset.wanted;
      },
    );
  };
})();
