// One file's way to the site, or straight to its storage: the site says which when it opens the upload. Where the
// connection breaks, a file in parts goes on with the parts that are missing, after a pause that grows; also after
// the page was loaded again, for the site knows the file by its name, size and time.
"use strict";

// Will not pass by itself. mayPass: it is worth a try of the person's.
class Refusal extends Error {
  constructor(sentence, mayPass = false) {
    super(sentence);
    this.mayPass = mayPass;
  }
}

// May pass by itself.
class Lost extends Error {}

class Sending {
  static MOST_TRIES = 20; // without a part between them: seven minutes
  static MOST_REFUSALS = 3; // of the storage: a link may have ended, the next one is fresh
  static LONGEST_PAUSE = 30; // seconds
  static TOO_LATE = "Cancelled when all of it had been sent: your files tell whether it was taken.";
  static LONGEST_SILENCE = 60; // seconds without a byte, then the connection counts as lost

  // form: the page's, with the address to open uploads at. tell: { opened(answer), progress(share), say(sentence) }.
  constructor(file, form, tell) {
    Object.assign(this, { file, form, tell, tries: 0, refusals: 0, sent: false, whole: false, cancelled: false });
  }

  // The address of the job's page. Throws a Refusal.
  async run() {
    for (;;) {
      try {
        return await this.go();
      } catch (error) {
        if (this.cancelled) throw new Refusal(this.whole ? Sending.TOO_LATE : "Cancelled. Nothing of the file is kept.", true);
        if (!(error instanceof Lost)) throw error;
        await this.rest(error.message);
      }
    }
  }

  cancel() {
    this.cancelled = true;
    this.request?.abort();
    this.wake?.();
    if (this.opened?.discard) this.ask(this.opened.discard).catch(() => {}); // what is left, the site deletes at night
  }

  async go() {
    if (this.cancelled) throw new Lost();
    if (!this.sent) {
      if (!this.opened?.form) this.tell.opened((this.opened = await this.open()));
      const answer = this.opened.parts ? await this.sendParts(this.opened.parts) : await this.sendForm(this.opened);
      if (!this.opened.close) return answer.page;
      this.sent = this.whole = true;
      this.tell.say("");
    }
    return (await this.ask(this.opened.close)).page;
  }

  open() {
    const { name, size, lastModified } = this.file;
    return this.ask(this.form.dataset.open, { name, size, last_modified: lastModified });
  }

  async sendForm({ form, close }) {
    const body = new FormData();
    for (const [name, value] of Object.entries(form.fields)) body.append(name, value);
    body.append("file", this.file);
    try {
      return await this.send("POST", form.url, body, (loaded, total) => {
        this.whole = !close && loaded === total;
        this.tell.progress(loaded / total);
      });
    } catch (error) {
      if (close || !(error instanceof Lost)) throw error;
      throw new Refusal(`${error.message} Nothing of the file is kept yet.`, true);
    }
  }

  async sendParts({ size, arrived, sign }) {
    const has = new Set(arrived);
    const part = (number) => this.file.slice((number - 1) * size, number * size);
    const count = Math.ceil(this.file.size / size);
    let there = 0;
    for (let number = 1; number <= count; number++) if (has.has(number)) there += part(number).size;
    this.tell.progress(there / this.file.size);
    if (there && !this.tries) this.tell.say("It goes on where it ended.");
    for (let number = 1; number <= count; number++) {
      if (has.has(number)) continue;
      const { url } = await this.ask(sign, { number });
      await this.send("PUT", url, part(number), (loaded) => {
        if (this.tries) this.tell.say("Connected again. It goes on where it ended.");
        this.tell.progress((there + loaded) / this.file.size);
      });
      there += part(number).size;
      this.tries = this.refusals = 0;
      this.tell.say("");
    }
  }

  async rest(reason) {
    if (this.tries === Sending.MOST_TRIES) throw new Refusal(`${reason} We gave up for now.`, true);
    const seconds = Math.min(2 ** this.tries++, Sending.LONGEST_PAUSE);
    this.tell.say(`${reason} Trying again in ${seconds} s.`);
    await new Promise((resolve) => {
      this.wake = resolve;
      addEventListener("online", resolve, { once: true });
      setTimeout(resolve, seconds * 1000);
    });
  }

  // The site's answer to a question of ours.
  ask(url, fields = {}) {
    return this.send("POST", url, new URLSearchParams(fields), () => {}, {
      "X-CSRFToken": this.form.elements.csrfmiddlewaretoken.value,
    });
  }

  // One request to the site or the storage: its JSON, if it answers with any. Throws Lost or a Refusal.
  send(method, url, body, progress, headers = {}) {
    return new Promise((resolve, reject) => {
      const request = (this.request = new XMLHttpRequest());
      let silence;
      const hear = () => {
        clearTimeout(silence);
        silence = setTimeout(() => request.abort(), Sending.LONGEST_SILENCE * 1000);
      };
      request.upload.addEventListener("progress", (event) => {
        hear();
        progress(event.loaded, event.total);
      });
      request.addEventListener("loadend", () => {
        clearTimeout(silence);
        if (request.status >= 200 && request.status < 300) resolve(this.read(request));
        else reject(this.whatBroke(request, new URL(url, location).origin === location.origin));
      });
      request.open(method, url);
      request.setRequestHeader("Accept", "application/json");
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      hear();
      request.send(body);
    });
  }

  whatBroke(request, isTheSite) {
    const { error } = this.read(request);
    if (request.status === 0) return new Lost("Connection lost.");
    if (request.status >= 500) return new Lost(error ?? "Something went wrong on our side.");
    if (!isTheSite) {
      return ++this.refusals > Sending.MOST_REFUSALS
        ? new Refusal("The storage refused the file.", true)
        : new Lost("The storage refused the file.");
    }
    if (request.status === 403) return new Refusal("You are logged out. Load the page again, log in, then choose the file again.");
    // A file that is refused once is refused again; anything else may pass.
    const sentence = error?.replace(`${this.file.name}: `, "") ?? "Something went wrong on our side.";
    return new Refusal(sentence, request.status !== 422);
  }

  read(request) {
    try {
      return JSON.parse(request.responseText);
    } catch {
      return {};
    }
  }
}
