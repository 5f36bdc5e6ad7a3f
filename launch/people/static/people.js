// Counts the seconds in which a judge is at work, and keeps what is typed. The pages work without it.
"use strict";
(() => {
  const form = document.getElementById("verdict");
  if (!form) return;
  const IDLE = 60_000; // without a move, a key or a scroll, a judge is away
  let active = 0, last = Date.now(), since = Date.now();
  const count = () => {
    const now = Date.now();
    if (!document.hidden) active += Math.min(now, last + IDLE) - Math.min(since, last + IDLE);
    since = now;
  };
  const moved = () => { count(); last = Date.now(); };
  for (const kind of ["pointermove", "pointerdown", "keydown", "scroll", "touchstart"])
    addEventListener(kind, moved, { passive: true });
  document.addEventListener("visibilitychange", () => { count(); since = last = Date.now(); });
  form.addEventListener("submit", () => { count(); form.elements.active.value = (active / 1000).toFixed(1); });

  const saved = form.querySelector(".saved");
  let waiting = 0, dirty = false;
  const save = async () => {
    const fields = new URLSearchParams(new FormData(form));
    try {
      const reply = await fetch(form.dataset.draft, { method: "POST", body: fields, keepalive: true });
      if (!reply.ok) throw new Error(reply.statusText);
      dirty = false;
      if (saved) saved.textContent = saved.dataset.word;
    } catch {
      if (saved) saved.textContent = "…";
      waiting = setTimeout(save, 5000); // the network is away: again in a while
    }
  };
  form.addEventListener("input", () => {
    dirty = true;
    if (saved) saved.textContent = "";
    clearTimeout(waiting);
    waiting = setTimeout(save, 800);
  });
  addEventListener("pagehide", () => {
    if (dirty) navigator.sendBeacon(form.dataset.draft, new URLSearchParams(new FormData(form)));
  });
})();
