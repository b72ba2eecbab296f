// Polls the live part of a page: an element with hx-get, hx-trigger="poll" and data-poll-after, the seconds until its
// next poll. The server leaves data-poll-after out once the state is final.
"use strict";

{
  const MAX_PAUSE_SECONDS = 30; // while the server does not answer
  const openedAt = Date.now();
  let timer, failures = 0, beforeSwap = {}, announcedTitle = document.title;

  const livePart = () => document.querySelector("[data-poll-after]");
  const progressBar = () => document.querySelector("#progress progress[value]");

  function pollAfter(seconds) {
    clearTimeout(timer);
    timer = setTimeout(poll, seconds * 1000);
  }

  function poll() {
    clearTimeout(timer);
    // A hidden tab does not poll. The visibilitychange event starts it again.
    if (livePart() && !document.hidden) htmx.trigger(livePart(), "poll");
  }

  function showNote(name) {
    for (const note of document.querySelectorAll("[data-note]")) note.hidden = note.dataset.note !== name;
  }

  // Starts the new bar at the old value, so that it slides. Within one stage it never goes back.
  function slideBar(bar) {
    if (!bar || bar.dataset.stage !== beforeSwap.stage) return;
    const value = Math.max(bar.value, beforeSwap.value);
    bar.value = beforeSwap.value;
    void bar.offsetWidth; // makes the browser render the old value first
    bar.value = value;
  }

  // A page redirects to the login. A job's progress answers 404, or 403.
  function isLoggedOut({ xhr, pathInfo }) {
    const isRedirected = xhr.responseURL && new URL(xhr.responseURL).pathname !== pathInfo.requestPath.split("?")[0];
    return isRedirected || xhr.status === 403 || xhr.status === 404;
  }

  document.addEventListener("htmx:configRequest", ({ detail }) => {
    detail.parameters.age = Math.round((Date.now() - openedAt) / 1000);
  });

  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const bar = progressBar();
    const isFocused = detail.target.contains(document.activeElement);
    beforeSwap = { stage: bar?.dataset.stage, value: bar?.value, isFocused };
    // A swap while a button is pressed would lose the click.
    const isPressed = detail.target.matches(":active");
    // After a flush of the cache the answer has no progress. The page keeps the bar that it shows.
    const hasLessProgress = bar && detail.serverResponse.includes("data-starting");
    if (isPressed || hasLessProgress || isLoggedOut(detail)) detail.shouldSwap = false;
  });

  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (isLoggedOut(detail)) return showNote("login");
    failures = detail.successful ? 0 : failures + 1;
    showNote(failures ? "away" : "none");
    slideBar(progressBar());
    if (beforeSwap.isFocused && document.activeElement === document.body) {
      document.getElementById(detail.target.id)?.focus({ preventScroll: true });
    }
    // Screen readers announce a new state, which changes the title, but not each percent.
    if (document.title !== announcedTitle) {
      announcedTitle = document.getElementById("announcement").textContent = document.title;
    }
    if (livePart()) pollAfter(Math.min(livePart().dataset.pollAfter * 2 ** failures, MAX_PAUSE_SECONDS));
  });

  document.addEventListener("visibilitychange", poll);
  addEventListener("online", poll);
  if (livePart()) pollAfter(livePart().dataset.pollAfter);
}
