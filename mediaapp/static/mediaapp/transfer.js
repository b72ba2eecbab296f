// Sends one file to the site or straight to the bucket: the site decides when the transfer opens the upload. After a
// lost connection, a multipart upload continues with the missing parts, after a pause that grows. It also continues
// after a reload of the page, because the site recognises the file by its name, size and time.
"use strict";

// The transfer ends. canRetry: the user may try it again.
class TransferError extends Error {
  constructor(sentence, canRetry = false) {
    super(sentence);
    this.canRetry = canRetry;
  }
}

// A temporary failure: run() retries it.
class TemporaryError extends Error {}

class Transfer {
  static MAX_TRIES = 20; // without a completed part between them: seven minutes
  static MAX_STORAGE_REFUSALS = 3; // a presigned URL may have expired; the next one is fresh
  static MAX_PAUSE_SECONDS = 30;
  static MAX_SILENCE_SECONDS = 60; // without a byte, then the connection counts as lost
  static CANCELLED_LATE = "Cancelled when all of it had been sent: your files tell whether it was taken.";

  // form: the page's, with the URL that opens uploads. on: { opened(answer), progress(share), message(sentence) }.
  constructor(file, form, on) {
    Object.assign(this, { file, form, on, tries: 0, refusals: 0 });
    Object.assign(this, { isSent: false, mayHaveArrived: false, isCancelled: false });
  }

  // Returns the URL of the job's page. Throws a TransferError.
  async run() {
    for (;;) {
      try {
        return await this.sendOnce();
      } catch (error) {
        if (this.isCancelled) {
          throw new TransferError(this.mayHaveArrived ? Transfer.CANCELLED_LATE : "Cancelled. Nothing of the file is kept.", true);
        }
        if (!(error instanceof TemporaryError)) throw error;
        await this.pause(error.message);
      }
    }
  }

  cancel() {
    this.isCancelled = true;
    this.request?.abort();
    this.endPause?.();
    // If the request fails, the site deletes the upload after a day.
    if (this.opened?.discard) this.postForm(this.opened.discard).catch(() => {});
  }

  async sendOnce() {
    if (this.isCancelled) throw new TemporaryError();
    if (!this.isSent) {
      if (!this.opened?.form) this.on.opened((this.opened = await this.openUpload()));
      const answer = this.opened.parts ? await this.sendParts(this.opened.parts) : await this.sendForm(this.opened);
      if (!this.opened.close) return answer.page;
      this.isSent = this.mayHaveArrived = true;
      this.on.message("");
    }
    return (await this.postForm(this.opened.close)).page;
  }

  openUpload() {
    const { name, size, lastModified } = this.file;
    return this.postForm(this.form.dataset.open, { name, size, last_modified: lastModified });
  }

  async sendForm({ form, close }) {
    const body = new FormData();
    for (const [name, value] of Object.entries(form.fields)) body.append(name, value);
    body.append("file", this.file);
    try {
      return await this.send("POST", form.url, body, (loaded, total) => {
        this.mayHaveArrived = !close && loaded === total;
        this.on.progress(loaded / total);
      });
    } catch (error) {
      if (close || !(error instanceof TemporaryError)) throw error;
      throw new TransferError(`${error.message} Nothing of the file is kept yet.`, true);
    }
  }

  async sendParts({ size, arrived, sign }) {
    const arrivedNumbers = new Set(arrived);
    const part = (number) => this.file.slice((number - 1) * size, number * size);
    const count = Math.ceil(this.file.size / size);
    let arrivedBytes = 0;
    for (let number = 1; number <= count; number++) if (arrivedNumbers.has(number)) arrivedBytes += part(number).size;
    this.on.progress(arrivedBytes / this.file.size);
    if (arrivedBytes && !this.tries) this.on.message("It goes on where it ended.");
    for (let number = 1; number <= count; number++) {
      if (arrivedNumbers.has(number)) continue;
      const { url } = await this.postForm(sign, { number });
      await this.send("PUT", url, part(number), (loaded) => {
        if (this.tries) this.on.message("Connected again. It goes on where it ended.");
        this.on.progress((arrivedBytes + loaded) / this.file.size);
      });
      arrivedBytes += part(number).size;
      this.tries = this.refusals = 0;
      this.on.message("");
    }
  }

  async pause(reason) {
    if (this.tries === Transfer.MAX_TRIES) throw new TransferError(`${reason} We gave up for now.`, true);
    const seconds = Math.min(2 ** this.tries++, Transfer.MAX_PAUSE_SECONDS);
    this.on.message(`${reason} Trying again in ${seconds} s.`);
    await new Promise((resolve) => {
      this.endPause = resolve;
      addEventListener("online", resolve, { once: true });
      setTimeout(resolve, seconds * 1000);
    });
  }

  // Posts fields to the site, with the CSRF token. Returns the JSON of the answer.
  postForm(url, fields = {}) {
    return this.send("POST", url, new URLSearchParams(fields), () => {}, {
      "X-CSRFToken": this.form.elements.csrfmiddlewaretoken.value,
    });
  }

  // Sends one request to the site or the storage. Resolves to the JSON of the answer, {} if it has none.
  // Rejects with a TemporaryError or a TransferError.
  send(method, url, body, onProgress, headers = {}) {
    return new Promise((resolve, reject) => {
      const request = (this.request = new XMLHttpRequest());
      let silence;
      const restartSilenceTimer = () => {
        clearTimeout(silence);
        silence = setTimeout(() => request.abort(), Transfer.MAX_SILENCE_SECONDS * 1000);
      };
      request.upload.addEventListener("progress", (event) => {
        restartSilenceTimer();
        onProgress(event.loaded, event.total);
      });
      request.addEventListener("loadend", () => {
        clearTimeout(silence);
        if (request.status >= 200 && request.status < 300) resolve(this.readJson(request));
        else reject(this.errorOf(request, new URL(url, location).origin === location.origin));
      });
      request.open(method, url);
      request.setRequestHeader("Accept", "application/json");
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      restartSilenceTimer();
      request.send(body);
    });
  }

  errorOf(request, isFromSite) {
    const { error } = this.readJson(request);
    if (request.status === 0) return new TemporaryError("Connection lost.");
    if (request.status >= 500) return new TemporaryError(error ?? "Something went wrong on our side.");
    if (!isFromSite) {
      return ++this.refusals > Transfer.MAX_STORAGE_REFUSALS
        ? new TransferError("The storage refused the file.", true)
        : new TemporaryError("The storage refused the file.");
    }
    if (request.status === 403) return new TransferError("You are logged out. Load the page again, log in, then choose the file again.");
    // 422: the site rejects the file, and would reject it again. Other errors may pass.
    const sentence = error?.replace(`${this.file.name}: `, "") ?? "Something went wrong on our side.";
    return new TransferError(sentence, request.status !== 422);
  }

  readJson(request) {
    try {
      return JSON.parse(request.responseText);
    } catch {
      return {};
    }
  }
}
