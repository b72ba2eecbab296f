// The keys of a presenter's remote go from slide to slide. Without this script, the page scrolls.
"use strict";

const slides = [...document.querySelectorAll(".slide")];
const STEPS = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1, Home: -Infinity, End: Infinity };

document.addEventListener("keydown", (event) => {
  const hasModifier = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
  // What scrolls or opens by a key of its own keeps it.
  if (!(event.key in STEPS) || hasModifier || event.target.closest("pre, .wide, .picture, .account")) return;
  event.preventDefault();
  // The last slide whose top is above the middle of the window; -1 above the first.
  const current = slides.findLastIndex((slide) => slide.getBoundingClientRect().top < innerHeight / 2);
  const next = slides[Math.min(Math.max(current + STEPS[event.key], 0), slides.length - 1)];
  next.scrollIntoView();
  history.replaceState(null, "", `#${next.id}`);
});
