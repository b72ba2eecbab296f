// htmx previews each choice on the mapping page at its change event. This script previews a choice that the user made
// before htmx had loaded: that event is over, and CSS hides the button which would do the same.
"use strict";

{
  const form = document.getElementById("mapping");
  const initialOption = (select) => select.querySelector("option[selected]") ?? select.options[0];
  const isChanged = (select) => select.value !== initialOption(select).value;

  // htmx binds the form at this event too, with an earlier listener.
  document.addEventListener("DOMContentLoaded", () => {
    if ([...form.querySelectorAll("select")].some(isChanged)) htmx.trigger(form, "change");
  });
}
