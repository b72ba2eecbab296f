// Sends files from the library's form: dropped or chosen, two at a time, each with a bar, a cancel button
// and its own message; sending.js is each one's way. Without these scripts the form sends them itself.
"use strict";

{
  const AT_ONCE = 2;
  const form = document.getElementById("upload");
  const chooser = form.elements.file;
  const list = document.getElementById("sending");
  const waiting = [];
  let running = 0, alone = false;

  function take(files) {
    alone = files.length === 1 && !running && !waiting.length;
    for (const file of files) waiting.push({ file, row: addRow(file) });
    startNext();
  }

  function addRow(file) {
    const row = document.getElementById("sending-row").content.firstElementChild.cloneNode(true);
    part(row, "name").textContent = file.name;
    part(row, "size").textContent = sizeOf(file.size);
    part(row, "bar").setAttribute("aria-label", `Upload of ${file.name}`);
    button(row, "cancel").addEventListener("click", () => drop(row));
    button(row, "again").addEventListener("click", () => {
      mark(row, "");
      waiting.push({ file, row });
      startNext();
    });
    list.append(row);
    return row;
  }

  function drop(row) {
    const at = waiting.findIndex((item) => item.row === row);
    if (at >= 0) waiting.splice(at, 1);
    if (row.sending) return row.sending.cancel();
    row.remove();
    chooser.focus();
  }

  function startNext() {
    while (running < AT_ONCE && waiting.length) send(waiting.shift());
  }

  async function send({ file, row }) {
    const limit = limitFor(file);
    if (file.size > limit) {
      return fail(row, `The file has ${sizeOf(file.size)}; we take ${sizeOf(limit)} at most.`);
    }
    running += 1;
    row.sending = new Sending(file, form, {
      progress: (share) => showBytes(row, share),
      opened: ({ discard }) => document.querySelector(`.unfinished form[action="${discard}"]`)?.closest("li").remove(),
      say: (sentence) => (part(row, "message").textContent = sentence),
    });
    try {
      succeed(row, await row.sending.run());
    } catch (error) {
      fail(row, error.message, error.mayPass);
    }
    running -= 1;
    row.sending = null;
    startNext();
  }

  function showBytes(row, share) {
    part(row, "bar").value = share;
    part(row, "percent").textContent = share < 1 ? `${Math.floor(share * 100)} %` : "Sent. The file is being checked.";
  }

  function succeed(row, page) {
    if (alone) return location.assign(page);
    mark(row, "good");
    const link = document.createElement("a");
    link.href = page;
    link.textContent = "Uploaded: see how it goes on";
    part(row, "message").replaceChildren(link);
    htmx.trigger("#recent", "poll");
  }

  function fail(row, sentence, mayPass = false) {
    mark(row, mayPass ? "bad may-pass" : "bad");
    part(row, "message").textContent = sentence;
  }

  // The stylesheet shows the bar, the message and the right buttons by this class.
  function mark(row, outcome) {
    row.className = outcome;
    button(row, "cancel").textContent = outcome ? "Remove" : "Cancel";
    part(row, "message").textContent = "";
    showBytes(row, 0);
  }

  const part = (row, name) => row.querySelector(`[data-part=${name}]`);
  const button = (row, name) => row.querySelector(`[data-do=${name}]`);
  const limitFor = (file) =>
    Number(/\.(csv|tsv|txt)$/i.test(file.name) ? form.dataset.maxCsv : form.dataset.maxVideo);

  function sizeOf(bytes) {
    if (bytes < 1000) return `${bytes} bytes`;
    const [value, unit] = bytes < 999_500 ? [bytes / 1e3, "kB"] : bytes < 999.5e6 ? [bytes / 1e6, "MB"] : [bytes / 1e9, "GB"];
    return `${value.toLocaleString("en", { maximumFractionDigits: value < 9.95 ? 1 : 0 })} ${unit}`;
  }

  function takeChosen() {
    take([...chooser.files]);
    chooser.value = ""; // so that the same file can be chosen again
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    takeChosen();
  });
  chooser.addEventListener("change", takeChosen);
  // A file chosen before this script had loaded: its change event is over, and the page hides the upload button.
  if (chooser.files.length) takeChosen();

  let depth = 0; // dragenter and dragleave come for every child
  const markDrag = (change) => form.classList.toggle("over", (depth = Math.max(0, depth + change)) > 0);
  const drags = (event) => event.dataTransfer?.types.includes("Files");
  form.addEventListener("dragenter", (event) => drags(event) && markDrag(+1));
  form.addEventListener("dragleave", (event) => drags(event) && markDrag(-1));
  // A file that misses the zone must not replace the page.
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    markDrag(-depth);
    if (form.contains(event.target) && event.dataTransfer.files.length) take(event.dataTransfer.files);
  });

  addEventListener("beforeunload", (event) => {
    if (running || waiting.length) event.preventDefault();
  });
}
