"use strict";
/* The theme: light, dark, or as the system has it. Loaded in the head, so that the first paint is right. */
(function () {
  const KEY = "lurk-theme";
  const CHOICES = ["auto", "light", "dark"];
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      const kept = window.localStorage.getItem(KEY);
      return CHOICES.includes(kept) ? kept : "auto";
    } catch {
      return "auto";
    }
  }

  function show(choice) {
    const dark = choice === "dark" || (choice === "auto" && system.matches);
    document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
    document.documentElement.dataset.theme = choice;
  }

  show(chosen());
  system.addEventListener("change", () => show(chosen()));
  window.addEventListener("storage", () => show(chosen()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    const next = CHOICES[(CHOICES.indexOf(document.documentElement.dataset.theme) + 1) % CHOICES.length];
    try {
      window.localStorage.setItem(KEY, next);
    } catch {
      /* a browser that keeps nothing still changes this page */
    }
    show(next);
  });
})();
