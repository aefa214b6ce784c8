"use strict";
/* What is asked of the workers: a request is sent, followed until it ends, and cancelled when nobody waits for it. */
(function () {
  const lurk = (window.lurk = window.lurk || {});

  const OPEN = ["queued", "running"];
  const RETRY_MS = 2000;
  const SOON_MS = 100;
  const GROWTH = 0.25;
  const QUEUED_MS = 300;
  const SLOWEST_MS = 2000;
  const HIDDEN_MS = 3000;
  const AGAIN = 2;

  lurk.pause = (ms) => new Promise((resolve) => window.setTimeout(resolve, ms));
  lurk.isOpen = (ask) => Boolean(ask) && OPEN.includes(ask.state);

  /* Most happens at first, so the waits grow with the time that has passed, but not beyond the end that is expected. */

  function pace(ask, passedMs) {
    if (document.hidden) return HIDDEN_MS;
    const knownMs = ask.state === "queued" ? QUEUED_MS + 200 * (ask.ahead || 0) : 1000 * (ask.eta_s ?? Infinity);
    return Math.min(SLOWEST_MS, Math.max(SOON_MS, Math.min(GROWTH * passedMs, knownMs)));
  }

  /* Ask for a job. `tell` hears of each change: the server's ask, or {state: "refused", error} where it was refused.
     Returns what can be done with it; `first` is kept once the first answer is there. */

  lurk.request = function (body, tell) {
    const one = { ask: null, isMine: false, isLeft: false, isStopped: false };

    function hear(ask) {
      one.ask = ask;
      if (!one.isLeft) tell(ask);
    }

    async function patiently(call) {
      for (;;) {
        try {
          return await call();
        } catch {
          lurk.told(true);
          if (one.isLeft) return { ok: false, body: { error: "left" } };
          await lurk.pause(RETRY_MS);
        }
      }
    }

    async function post() {
      const { ok, body: answer } = await patiently(() => lurk.send("/jobs", body));
      if (!ok) {
        hear({ state: "refused", error: ["", answer.error || "the server refused it"] });
        return;
      }
      one.isMine = one.isMine || !(answer.done > 0);
      if (((one.isLeft && one.isMine) || one.isStopped) && lurk.isOpen(answer)) stop(answer.key);
      hear(answer);
    }

    async function follow() {
      for (let tries = AGAIN; ; tries -= 1) {
        let wasStopping = false;
        const since = {}; // a job that steps aside for others is queued and running in turn
        while (lurk.isOpen(one.ask) && !one.isLeft) {
          wasStopping = wasStopping || Boolean(one.ask.stopping);
          since[one.ask.state] ??= Date.now();
          await lurk.pause(pace(one.ask, Date.now() - since[one.ask.state]));
          if (one.isLeft) return;
          const { ok, body: answer } = await patiently(() => lurk.ask(`/jobs/${encodeURIComponent(one.ask.key)}`));
          hear(ok ? answer : { state: "failed", error: ["", "the job is gone"] });
        }
        /* what was stopped before it was asked for again is asked for once more */
        if (!wasStopping || one.isStopped || one.isLeft || !tries || one.ask.state !== "cancelled") return;
        await post();
      }
    }

    async function stop(key) {
      return patiently(() => lurk.send(`/jobs/${encodeURIComponent(key)}/cancel`));
    }

    one.leave = function () {
      if (one.isLeft) return;
      one.isLeft = true;
      if (one.isMine && lurk.isOpen(one.ask)) stop(one.ask.key);
    };

    one.cancel = async function () {
      one.isStopped = true;
      if (!lurk.isOpen(one.ask)) return;
      const { ok, body: answer } = await stop(one.ask.key);
      if (ok) hear(lurk.isOpen(answer) ? { ...answer, stopping: true } : answer);
    };

    one.first = post();
    one.first.then(follow);
    return one;
  };

  /* How a request stands, in words. */

  lurk.standing = function (ask) {
    if (!ask) return "Asking…";
    if (ask.stopping && lurk.isOpen(ask)) return "Stopping…";
    if (ask.state === "queued") return ask.ahead ? `Waiting: ${ask.ahead} ahead of you` : "Waiting for a worker";
    if (ask.state !== "running") return "";
    if (!ask.total) return ask.note ? `Starting: ${ask.note}` : "Starting…";
    const step = `step ${ask.done.toLocaleString("en")} of ${ask.total.toLocaleString("en")}`;
    return [step, lurk.left(ask.eta_s)].filter(Boolean).join(" · ");
  };

  lurk.trouble = (ask) => (ask.error ? ask.error[1] : "the server's log says why");
})();
