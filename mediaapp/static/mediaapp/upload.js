// The library's upload form: files are dropped or chosen, and sent two at a time. Each has a row with a bar, buttons and
// a message. transfer.js sends one file. Without these scripts the browser submits the form.
"use strict";

{
  const MAX_TRANSFERS = 2;
  const form = document.getElementById("upload");
  const chooser = form.elements.file;
  const list = document.getElementById("transfers");
  const waiting = [];
  let running = 0, isSingleFile = false;

  function addFiles(files) {
    isSingleFile = files.length === 1 && !running && !waiting.length;
    for (const file of files) waiting.push({ file, row: addRow(file) });
    startNext();
  }

  function addRow(file) {
    const row = document.getElementById("transfer-row").content.firstElementChild.cloneNode(true);
    part(row, "name").textContent = file.name;
    part(row, "size").textContent = formatSize(file.size);
    part(row, "bar").setAttribute("aria-label", `Upload of ${file.name}`);
    button(row, "cancel").addEventListener("click", () => cancelRow(row));
    button(row, "again").addEventListener("click", () => {
      setOutcome(row, "");
      waiting.push({ file, row });
      startNext();
    });
    list.append(row);
    return row;
  }

  function cancelRow(row) {
    const index = waiting.findIndex((item) => item.row === row);
    if (index >= 0) waiting.splice(index, 1);
    if (row.transfer) return row.transfer.cancel();
    row.remove();
    chooser.focus();
  }

  function startNext() {
    while (running < MAX_TRANSFERS && waiting.length) send(waiting.shift());
  }

  async function send({ file, row }) {
    const limit = limitFor(file);
    if (file.size > limit) {
      return showFailure(row, `The file has ${formatSize(file.size)}; we take ${formatSize(limit)} at most.`);
    }
    running += 1;
    row.transfer = new Transfer(file, form, {
      opened: ({ discard }) => document.querySelector(`.open-uploads form[action="${discard}"]`)?.closest("li").remove(),
      progress: (share) => showProgress(row, share),
      message: (sentence) => (part(row, "message").textContent = sentence),
    });
    try {
      showSuccess(row, await row.transfer.run());
    } catch (error) {
      showFailure(row, error.message, error.canRetry);
    }
    running -= 1;
    row.transfer = null;
    startNext();
  }

  function showProgress(row, share) {
    part(row, "bar").value = share;
    part(row, "percent").textContent = share < 1 ? `${Math.floor(share * 100)} %` : "Sent. The file is being checked.";
  }

  function showSuccess(row, page) {
    if (isSingleFile) return location.assign(page);
    setOutcome(row, "good");
    const link = document.createElement("a");
    link.href = page;
    link.textContent = "Uploaded: see how it goes on";
    part(row, "message").replaceChildren(link);
    htmx.trigger("#recent", "poll");
  }

  function showFailure(row, sentence, canRetry = false) {
    setOutcome(row, canRetry ? "bad can-retry" : "bad");
    part(row, "message").textContent = sentence;
  }

  // By this class the stylesheet shows the bar, the message and the buttons.
  function setOutcome(row, outcome) {
    row.className = outcome;
    button(row, "cancel").textContent = outcome ? "Remove" : "Cancel";
    part(row, "message").textContent = "";
    showProgress(row, 0);
  }

  const part = (row, name) => row.querySelector(`[data-part=${name}]`);
  const button = (row, name) => row.querySelector(`[data-action=${name}]`);
  const limitFor = (file) =>
    Number(/\.(csv|tsv|txt)$/i.test(file.name) ? form.dataset.maxCsv : form.dataset.maxVideo);

  function formatSize(bytes) {
    if (bytes < 1000) return `${bytes} bytes`;
    const [value, unit] = bytes < 999_500 ? [bytes / 1e3, "kB"] : bytes < 999.5e6 ? [bytes / 1e6, "MB"] : [bytes / 1e9, "GB"];
    return `${value.toLocaleString("en", { maximumFractionDigits: value < 9.95 ? 1 : 0 })} ${unit}`;
  }

  function addChosenFiles() {
    addFiles([...chooser.files]);
    chooser.value = ""; // lets the user choose the same file again
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    addChosenFiles();
  });
  chooser.addEventListener("change", addChosenFiles);
  // A file that was chosen before this script had loaded: its change event is over, and CSS hides the upload button.
  if (chooser.files.length) addChosenFiles();

  let depth = 0; // the browser fires dragenter and dragleave for every child too
  const markDrag = (change) => form.classList.toggle("drag-over", (depth = Math.max(0, depth + change)) > 0);
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  form.addEventListener("dragenter", (event) => hasFiles(event) && markDrag(+1));
  form.addEventListener("dragleave", (event) => hasFiles(event) && markDrag(-1));
  // A file that is dropped beside the form must not replace the page.
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    markDrag(-depth);
    if (form.contains(event.target) && event.dataTransfer.files.length) addFiles(event.dataTransfer.files);
  });

  addEventListener("beforeunload", (event) => {
    if (running || waiting.length) event.preventDefault();
  });
}
