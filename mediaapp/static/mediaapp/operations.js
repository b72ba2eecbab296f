// What a refresh of a staff page by poll.js must keep: the focus, what is open, what is selected. And it counts up the
// ages, which stay true while no answer comes.
"use strict";

{
  let serverAhead = 0, opened = [], focused; // serverAhead: milliseconds of its clock before ours

  const live = () => document.getElementById("live");
  const keyOf = (element) => element.id ||
    [element.tagName, element.getAttribute("href"), element.ariaLabel, element.textContent.trim()].join(" ");
  const isIn = (node, part) => node && part.contains(node);

  function readClock() {
    if (live()?.dataset.now) serverAhead = Date.parse(live().dataset.now) - Date.now();
  }

  // As the template filter `duration`.
  function duration(seconds) {
    if (seconds < 100) return `${Math.max(0, Math.round(seconds))} s`;
    if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
    return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
  }

  function countAges() {
    for (const time of document.querySelectorAll("time[data-age]")) {
      const seconds = (Date.now() + serverAhead - Date.parse(time.dateTime)) / 1000;
      const text = `${duration(seconds)} ago`;
      if (time.textContent !== text) time.textContent = text;
    }
  }

  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const part = detail.target, selection = getSelection();
    if (!selection.isCollapsed && isIn(selection.anchorNode, part)) detail.shouldSwap = false; // somebody copies an id
    opened = [...part.querySelectorAll("details[open]")].map(keyOf);
    focused = isIn(document.activeElement, part) && document.activeElement !== part ? keyOf(document.activeElement) : "";
  });

  document.addEventListener("htmx:afterSwap", () => {
    const part = live();
    if (!part) return;
    for (const details of part.querySelectorAll("details")) details.open ||= opened.includes(keyOf(details));
    const same = focused && [...part.querySelectorAll("a, button, input, select, summary")].find((each) => keyOf(each) === focused);
    if (same) same.focus({ preventScroll: true });
    readClock();
    countAges();
  });

  readClock();
  setInterval(countAges, 1000);
}
