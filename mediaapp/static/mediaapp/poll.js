// Keeps the moving part of a page up to date. Such a part has hx-get, hx-trigger="poll" and, while it
// moves, data-poll-after: seconds until it is to be asked for again. Without that it is final.
"use strict";

{
  const LONGEST_PAUSE = 30; // seconds, while there is no connection
  const began = Date.now();
  let timer, failures = 0, before = {}, said = document.title;

  const movingPart = () => document.querySelector("[data-poll-after]");

  function pollAfter(seconds) {
    clearTimeout(timer);
    timer = setTimeout(poll, seconds * 1000);
  }

  function poll() {
    clearTimeout(timer);
    // A hidden tab asks for nothing; its next question comes when it is looked at again.
    if (movingPart() && !document.hidden) htmx.trigger(movingPart(), "poll");
  }

  function showNote(name) {
    for (const note of document.querySelectorAll("[data-note]")) note.hidden = note.dataset.note !== name;
  }

  // The bar slides from where it stood, and within one stage it never goes back.
  function carryOn(bar) {
    if (!bar || bar.dataset.stage !== before.stage) return;
    const value = Math.max(bar.value, before.value);
    bar.value = before.value;
    void bar.offsetWidth; // lets the browser see both values, so that it slides
    bar.value = value;
  }

  document.addEventListener("htmx:configRequest", ({ detail }) => {
    detail.parameters.age = Math.round((Date.now() - began) / 1000);
  });

  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const bar = document.querySelector("#moving progress[value]");
    before = { stage: bar?.dataset.stage, value: bar?.value, focused: detail.target.contains(document.activeElement) };
    // A swap under a pressed button would swallow the click.
    const pressed = detail.target.matches(":active");
    // The cache was emptied, so only the row has answered: what we show already says more.
    const poorer = bar && detail.serverResponse.includes("data-starting");
    if (pressed || poorer || isLoggedOut(detail)) detail.shouldSwap = false;
  });

  // A page that wants a login sends us to it; a job's progress says that it does not exist.
  function isLoggedOut({ xhr, pathInfo }) {
    const moved = xhr.responseURL && new URL(xhr.responseURL).pathname !== pathInfo.requestPath.split("?")[0];
    return moved || xhr.status === 403 || xhr.status === 404;
  }

  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (isLoggedOut(detail)) return showNote("login");
    failures = detail.successful ? 0 : failures + 1;
    showNote(failures ? "away" : "none");
    carryOn(document.querySelector("#moving progress[value]"));
    if (before.focused && document.activeElement === document.body) {
      document.getElementById(detail.target.id)?.focus({ preventScroll: true });
    }
    // Only a new state is read out, not each percent: it stands in the title.
    if (document.title !== said) said = document.getElementById("said").textContent = document.title;
    if (movingPart()) pollAfter(Math.min(movingPart().dataset.pollAfter * 2 ** failures, LONGEST_PAUSE));
  });

  document.addEventListener("visibilitychange", poll);
  addEventListener("online", poll);
  if (movingPart()) pollAfter(movingPart().dataset.pollAfter);
}
