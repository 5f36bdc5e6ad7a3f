// Counts the seconds in which a judge is at work, and keeps what is typed. The pages work without it.
"use strict";
(() => {
  const form = document.getElementById("verdict");
  if (!form) return;
  const IDLE = 60_000; // without a move, a key or a scroll, a judge is away
  let active = 0, last = Date.now(), since = Date.now(), hidden = false;
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

  const saved = form.querySelector(".saved");
  form.addEventListener("submit", (event) => {
    count();
    form.elements.active.value = (active / 1000).toFixed(1);
    if (navigator.onLine) return;
    event.preventDefault(); // the browser would show its own page of error, and what was typed would be gone
    saved.textContent = saved.dataset.offline;
  });

  let waiting = 0, dirty = false;
  const tell = (text) => { if (navigator.onLine) saved.textContent = text; };
  const save = async () => {
    const fields = new URLSearchParams(new FormData(form));
    try {
      const reply = await fetch(form.dataset.draft, { method: "POST", body: fields, keepalive: true });
      if (!reply.ok) throw new Error(reply.statusText);
      dirty = false;
      tell(saved.dataset.word);
    } catch {
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
  addEventListener("pagehide", () => {
    if (dirty) navigator.sendBeacon(form.dataset.draft, new URLSearchParams(new FormData(form)));
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
