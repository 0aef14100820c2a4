// The page asks for itself every few seconds and swaps what has changed; where that fails it says so, loudly.
"use strict";
const EVERY = 4000;

async function refresh() {
  const silent = document.getElementById("silent");
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
    const shown = document.getElementById("live");
    if (fresh.innerHTML !== shown.innerHTML) shown.replaceWith(fresh);
    silent.hidden = true;
  } catch {
    silent.hidden = false;
  }
  setTimeout(refresh, document.hidden ? 4 * EVERY : EVERY);
}

setTimeout(refresh, EVERY);
