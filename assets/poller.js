"use strict";
/* The one poller of the page: asks the JSON API how things stand, and goes on asking when nobody answers. */
(function () {
  const lurk = (window.lurk = window.lurk || {});
  window.dash_clientside = window.dash_clientside || {};
  const page = (window.dash_clientside.lurk = window.dash_clientside.lurk || {});

  const API = `${lurk.prefix}/api/v1`;
  const BUSY_MS = 1000;
  const IDLE_MS = 5000;
  const HIDDEN_MS = 15000;
  const RETRY_MS = 2000;
  const TIMEOUT_MS = 8000;
  const BUSY = ["waiting", "starting", "running"];

  let timer = 0;
  let ticks = 0;
  let asking = 0;
  let isGone = false;
  let goneWhy = "";
  let latest = null;
  lurk.watched = { page: null, study: null };

  lurk.watch = function (shown, study) {
    if (lurk.watched.page === shown && lurk.watched.study === study) return;
    if (lurk.watched.study !== study) {
      latest = null;
      lurk.set("status", { data: null });
    }
    lurk.watched = { page: shown, study };
    soon();
  };

  function soon() {
    window.clearTimeout(timer);
    timer = window.setTimeout(poll, 0);
  }

  async function ask(path, options) {
    const answer = await window.fetch(API + path, { signal: AbortSignal.timeout(TIMEOUT_MS), ...options });
    if (answer.status === 401) {
      window.location.assign(`${lurk.prefix}/login?next=${encodeURIComponent(lurk.inside(window.location.pathname))}`);
      await new Promise(() => {});
    }
    const isRefused = answer.status === 507; // the disk is nearly full: said where it was asked for
    if (answer.status >= 500 && !isRefused) throw new Error(await reason(answer));
    return { ok: answer.ok, body: await answer.json() };
  }

  async function reason(answer) {
    try {
      return answer.status === 503 ? (await answer.json()).error || "" : "";
    } catch {
      return "";
    }
  }

  function send(path, body) {
    const text = body === undefined ? "{}" : JSON.stringify(body);
    return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: text });
  }

  lurk.ask = ask;
  lurk.send = send;

  function wait() {
    if (isGone) return RETRY_MS;
    if (document.hidden) return HIDDEN_MS;
    if (lurk.watched.page !== "study") return 2 * BUSY_MS;
    return !latest || BUSY.includes(latest.state) ? BUSY_MS : IDLE_MS;
  }

  async function poll() {
    const mine = (asking += 1);
    const { page: shown, study } = lurk.watched;
    try {
      const path = study ? `/studies/${encodeURIComponent(study)}` : shown === "jobs" ? "/jobs" : "/studies";
      const { ok, body } = await ask(path);
      if (mine !== asking) return;
      told(false);
      if (study && ok) show(body);
      if (study && !ok) lurk.studies(lurk.known.filter((one) => one !== study));
      if (shown === "home" && !study) lurk.studies(body.map((one) => one.name));
      if (shown !== "study") lurk.set("tick", { data: (ticks += 1) });
    } catch (error) {
      if (mine !== asking) return;
      told(true, error.name === "Error" ? error.message : "");
    }
    window.clearTimeout(timer);
    timer = window.setTimeout(poll, wait());
  }

  function show(status) {
    const hasChanged = !lurk.same(status, latest);
    latest = status;
    if (hasChanged) lurk.set("status", { data: status });
  }

  /* Studies come and go while the page is open. */
  lurk.known = [];
  lurk.studies = function (names) {
    if (!lurk.same(names, lurk.known)) lurk.set("studies", { data: names });
  };

  function told(gone, why) {
    if (gone === isGone && (why === undefined || why === goneWhy)) return;
    isGone = gone;
    goneWhy = why || "";
    lurk.set("server", { data: { gone, why: goneWhy } });
  }

  lurk.told = told;

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) soon();
  });

  page.gone = function (server) {
    const gone = Boolean(server && server.gone);
    const why = gone && server.why ? `${server.why[0].toUpperCase()}${server.why.slice(1)}.` : "The server does not answer.";
    return [gone ? `${why} Trying again…` : "", !gone];
  };

  /* The header. */

  const count = (number) => Number(number).toLocaleString("en");

  function left(seconds) {
    if (seconds === null || seconds === undefined) return "";
    if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s left`;
    if (seconds < 3600) return `${Math.round(seconds / 60)} min left`;
    return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min left`;
  }

  lurk.left = left;

  function speed(rate) {
    if (!rate) return "";
    return `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} images/s`;
  }

  const WORDS = {
    waiting: (s) =>
      s.ahead ? `Waiting: ${count(s.ahead)} ahead of you` : s.workers === 0 ? "Waiting for a worker" : "Waiting",
    starting: (s) => (s.message ? `Starting: ${s.message}` : "Starting"),
    running: (s) => [`${count(s.done)} of ${lurk.counted(s.total, "image")}`, speed(s.rate), left(s.eta_s)].filter(Boolean).join(" · "),
    done: (s) => `Complete: ${lurk.counted(s.total, "image")}`,
    cancelled: (s) => (s.total ? `Stopped at ${count(s.done)} of ${lurk.counted(s.total, "image")}` : "Stopped"),
    failed: (s) => `Failed: ${s.message || "the server's log says why"}`,
  };

  const SHOWN = {};
  const HIDDEN = { display: "none" };
  const when = (condition) => (condition ? SHOWN : HIDDEN);

  page.status = function (status, oldReady, oldSerial) {
    if (!status) return ["", "0", true, HIDDEN, "", HIDDEN, "", HIDDEN, "", true, lurk.changed(false, oldReady), lurk.changed(0, oldSerial)];
    const { state, skipped } = status;
    lurk.isAlone = status.workers === 0;
    const stale = status.stale ? `These results are of an earlier sweep: ${status.stale}.` : "";
    const notice = [stale, status.notice].filter(Boolean).join("\n");
    const isAlone = status.workers === 0 && state !== "waiting";
    const words = (WORDS[state] || (() => state))(status) + (isAlone ? " · no worker is alive" : "");
    const share = status.total ? status.done / status.total : 0;
    const isBusy = BUSY.includes(state);
    const bar = document.getElementById("header-state");
    if (bar) bar.dataset.state = state;
    const banner = document.getElementById("notice");
    if (banner) banner.dataset.grave = String(status.weights === "untrained");
    return [
      words,
      String(share),
      !(state === "running" || (state === "cancelled" && status.total)),
      when(isBusy && status.may_cancel !== false),
      state === "failed" ? "Try again" : state === "done" ? "Sweep again" : "Resume",
      when(state === "cancelled" || state === "failed" || (state === "done" && stale)),
      skipped ? `${count(skipped)} skipped` : "",
      when(skipped),
      notice,
      !notice,
      lurk.changed(status.ready ? status.study : false, oldReady),
      lurk.changed(status.serial, oldSerial),
    ];
  };

  /* What a person asks for: the sweep's cancel and resume, a job's cancel, a unit's check. */

  const SAID_MS = 8000;

  function say(text) {
    lurk.set("gone", { children: text, hidden: false });
    window.setTimeout(() => isGone || lurk.set("gone", { hidden: true }), SAID_MS);
  }

  async function change(path) {
    try {
      const { ok, body } = await send(path);
      if (!ok) say(`${body.error[0].toUpperCase()}${body.error.slice(1)}.`);
    } catch {
      told(true);
    }
    soon();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { study } = lurk.watched;
    if (button.id === "header-cancel") change(`/studies/${encodeURIComponent(study)}/cancel`);
    if (button.id === "header-resume") change(`/studies/${encodeURIComponent(study)}/resume`);
    if (button.dataset.cancel) change(`/jobs/${encodeURIComponent(button.dataset.cancel)}/cancel`);
    if (button.id === "unit-check") check(lurk.here());
  });

  const CHECK_MS = 400;

  function verdict(job) {
    if (job.state === "failed") return `Not checked: ${job.error ? job.error[1] : "the job failed"}`;
    if (job.state !== "done") return "Check cancelled";
    const result = job.result || {};
    if (!result.checked) return "Nothing to check yet";
    if (result.agree === result.checked) return `All ${result.checked} scores agree`;
    const wrong = (result.wrong || [])[0];
    const more = wrong ? `: ${wrong.path}, ${wrong.note}` : "";
    return `${result.checked - result.agree} of ${result.checked} scores differ${more}`;
  }

  async function check(place) {
    if (place.unit === undefined) return;
    const where = { study: place.study, layer: place.layer, unit: place.unit };
    const tell = (text, isBusy) => lurk.set("check", { data: { place: where, text, isBusy } });
    const isHere = () => lurk.same(where, { study: lurk.here().study, layer: lurk.here().layer, unit: lurk.here().unit });
    tell("Checking…", true);
    try {
      let { ok, body } = await send("/jobs", { kind: "verify", ...where });
      while (ok && ["queued", "running"].includes(body.state) && isHere()) {
        await lurk.pause(CHECK_MS);
        if (body.ahead) tell(`Waiting: ${count(body.ahead)} ahead of you`, true);
        ({ ok, body } = await ask(`/jobs/${encodeURIComponent(body.key)}`));
      }
      if (isHere()) tell(ok ? verdict(body) : body.error, false);
    } catch {
      tell("The server does not answer", false);
      told(true);
    }
  }

  page.checked = function (found, place) {
    const isThis = found && lurk.same(found.place, place);
    return isThis ? [found.text, found.isBusy] : ["", false];
  };
})();
