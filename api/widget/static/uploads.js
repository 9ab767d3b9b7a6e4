/* Files beside the next message: sent at once with their progress, and named in the message when it goes. */

export class Uploads {
  #files = []; // {name, progress, id, error, request}

  constructor(api, words, limits, onChange, ensureSession) {
    Object.assign(this, { api, words, limits, onChange, ensureSession });
  }

  add(files) {
    for (const file of files) {
      const entry = { name: file.name, progress: 0, remove: () => this.#remove(entry) };
      this.#files.push(entry);
      if (this.#files.length > this.limits.count) entry.error = this.words.t("too_many_files", { count: this.limits.count });
      else if (file.size > this.limits.bytes) entry.error = this.words.t("file_too_large", { mb: Math.floor(this.limits.bytes / 1048576) });
      else this.#send(entry, file);
    }
    this.#changed();
  }

  /** The files of the message that is being sent; null while one is still on its way. */
  take() {
    if (this.#files.some((entry) => !entry.error && !entry.id)) return null;
    const taken = this.#files.filter((entry) => entry.id).map(({ id, name }) => ({ id, name }));
    this.#files = [];
    this.#changed();
    return taken;
  }

  /** Forget the files of somebody who has left: nobody else may send them. */
  clear() {
    for (const entry of this.#files) entry.request?.abort();
    this.#files = [];
    this.#changed();
  }

  async download(file) {
    const answer = await fetch(`/api/v1/attachments/${file.id}`, { headers: this.api.headers(), credentials: "omit" });
    if (!answer.ok) throw new Error(this.words.t("file_gone"));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = file.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  async #send(entry, file) {
    try {
      await this.ensureSession(); // a visitor is known from their first session on
      const form = new FormData();
      form.append("file", file, file.name);
      const made = await this.#request(entry, form);
      entry.id = made.id;
      entry.progress = 1;
    } catch (error) {
      entry.error = error.message;
    }
    this.#changed();
  }

  /** fetch tells nothing of an upload's progress, so this is the older interface. */
  #request(entry, form) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      entry.request = request;
      request.open("POST", "/api/v1/attachments");
      for (const [name, value] of Object.entries(this.api.headers())) request.setRequestHeader(name, value);
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) entry.progress = Math.min(0.99, event.loaded / event.total);
        this.#changed();
      });
      request.addEventListener("load", () => (request.status < 300 ? resolve(request.response) : reject(new Error(request.response?.detail || this.words.t("file_refused")))));
      request.addEventListener("error", () => reject(new Error(this.words.t("offline"))));
      request.send(form);
    });
  }

  #remove(entry) {
    entry.request?.abort();
    this.#files = this.#files.filter((kept) => kept !== entry);
    this.#changed();
  }

  #changed() {
    this.onChange(this.#files);
  }
}
