// Counts the seconds in which a judge is at work, and keeps what is typed. The pages work without it.
"use strict";
(() => {
  const form = document.getElementById("verdict");
  if (!form) return;
  const IDLE = 60_000; // without a move, a key or a scroll, a judge is away
  const EVERY = 30_000; // between two looks whether there are seconds to keep
  // in milliseconds, from what was counted before this tab
  let active = 1000 * form.dataset.active, kept = active, last = Date.now(), since = Date.now(), hidden = false;
  const count = () => {
    const now = Date.now();
    if (!hidden) active += Math.min(now, last + IDLE) - Math.min(since, last + IDLE);
    since = now;
  };
  const moved = () => { count(); last = Date.now(); };
  for (const kind of ["pointermove", "pointerdown", "keydown", "scroll", "touchstart"])
    addEventListener(kind, moved, { passive: true });
  document.addEventListener("visibilitychange", () => {
    count(); // as it was until now
    hidden = document.hidden;
    last = Date.now();
  });

  const told = (of) => { count(); of.elements.active.value = (active / 1000).toFixed(1); };
  const leave = document.getElementById("leave");
  leave.addEventListener("submit", () => told(leave));

  const saved = form.querySelector(".saved");
  form.addEventListener("submit", (event) => {
    told(form);
    if (navigator.onLine) return;
    event.preventDefault(); // the browser would show its own page of error, and what was typed would be gone
    saved.textContent = saved.dataset.offline;
  });

  let waiting = 0, dirty = false;
  const tell = (text) => { if (navigator.onLine) saved.textContent = text; };
  const typed = () => { told(form); return new URLSearchParams(new FormData(form)); };
  const save = async () => {
    const fields = typed(), shown = dirty;
    dirty = false;
    kept = active;
    try {
      const reply = await fetch(form.dataset.draft, { method: "POST", body: fields, keepalive: true });
      if (!reply.ok) throw new Error(reply.statusText);
      if (shown) tell(saved.dataset.word);
    } catch {
      dirty = dirty || shown;
      if (!shown) return; // nobody typed: the next time will do
      tell("…");
      waiting = setTimeout(save, 5000); // the network is away: again in a while
    }
  };
  form.addEventListener("input", () => {
    dirty = true;
    tell("");
    clearTimeout(waiting);
    waiting = setTimeout(save, 800);
  });
  setInterval(() => { // who reads and types nothing is paid too, should they never come back
    count();
    if (active >= kept + EVERY / 2) save();
  }, EVERY);
  addEventListener("pagehide", () => {
    count();
    if (dirty || active >= kept + 1000) navigator.sendBeacon(form.dataset.draft, typed());
  });
})();

// Looks whether the debaters have answered, and loads the page again once they have. Without a script it reloads itself.
(() => {
  const waiting = document.getElementById("waiting");
  if (!waiting) return;
  setInterval(async () => {
    try {
      const reply = await fetch(waiting.dataset.look);
      if (reply.ok && (await reply.text()) !== waiting.dataset.state) location.replace("/");
    } catch { /* the network is away: it looks again */ }
  }, 2000);
})();
