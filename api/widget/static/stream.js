/* Server-sent events over fetch: headers carry the token, Last-Event-ID resumes, and a lost connection comes back. */

const SLOWEST_MS = 30_000;
const SILENT_MS = 45_000; // three missed pings

/** Events out of bytes, in the format's own rules: lines may end in CR, LF or both, and be cut anywhere. */
export class EventParser {
  #rest = "";
  #data = [];
  #type = "";
  #id = null;

  /** @returns {{id: string|null, type: string, data: string}[]} */
  feed(text) {
    const found = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length) found.push({ id: this.#id, type: this.#type || "message", data: this.#data.join("\n") });
        this.#data = [];
        this.#type = "";
        this.#id = null;
        continue;
      }
      const colon = line.indexOf(":");
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "data") this.#data.push(value);
      else if (name === "event") this.#type = value;
      else if (name === "id") this.#id = value;
    }
    return found;
  }
}

/** Follows one session until `stop()`. Calls `onEvent({id, type, data})`, `onState("open" | "lost" | "ended" | "unknown" | "refused")`:
    the server does not know who asks, or refuses. It alone says that a session has ended: one may have gone on since. */
export class Stream {
  #abort = new AbortController();
  #wake = () => {};

  constructor(api, sessionId, cursor, { onEvent, onState }) {
    Object.assign(this, { api, sessionId, cursor, onEvent, onState, failures: 0 });
    this.online = () => this.#wake();
    addEventListener("online", this.online);
    this.done = this.#follow();
  }

  stop() {
    removeEventListener("online", this.online);
    this.#abort.abort();
    this.#wake();
  }

  async #follow() {
    while (!this.#abort.signal.aborted) {
      const outcome = await this.#once();
      if (this.#abort.signal.aborted) return;
      if (["ended", "unknown", "refused"].includes(outcome)) {
        this.onState(outcome);
        return;
      }
      if (outcome === "closed") continue; // the server asked us to come back
      this.onState("lost");
      await this.#pause();
    }
  }

  async #pause() {
    const most = Math.min(SLOWEST_MS, 500 * 2 ** this.failures++);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, most * (0.5 + Math.random() / 2));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** One connection to its end: ended | unknown | refused | closed | lost. */
  async #once() {
    const cut = new AbortController();
    const stop = () => cut.abort();
    this.#abort.signal.addEventListener("abort", stop);
    let silence = setTimeout(stop, SILENT_MS);
    let alive = false;
    try {
      const headers = this.api.headers({ Accept: "text/event-stream", ...(this.cursor ? { "Last-Event-ID": this.cursor } : {}) });
      const answer = await fetch(`/api/v1/chat/sessions/${this.sessionId}/events`, {
        headers, signal: cut.signal, credentials: "omit", cache: "no-store",
      });
      if (answer.status === 204) return "ended";
      if (answer.status === 401) return "unknown";
      if ([403, 404].includes(answer.status)) return "refused";
      if (!answer.ok) return "lost";
      this.onState("open");
      const parser = new EventParser();
      const decoder = new TextDecoder();
      const reader = answer.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return alive ? "closed" : "lost";
        clearTimeout(silence);
        silence = setTimeout(stop, SILENT_MS);
        for (const event of parser.feed(decoder.decode(value, { stream: true }))) {
          alive = true;
          this.failures = 0;
          if (event.id) this.cursor = event.id;
          if (event.type === "ping") continue;
          this.onEvent({ ...event, data: JSON.parse(event.data) });
        }
      }
    } catch {
      return "lost";
    } finally {
      clearTimeout(silence);
      this.#abort.signal.removeEventListener("abort", stop);
    }
  }
}
