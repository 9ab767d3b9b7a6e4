/* Asking again and again: slower while nobody looks, and ever slower while it fails. */

const SLOWEST_MS = 60_000;

export class Poll {
  #timer = null;
  #failures = 0;
  #running = null;
  #stopped = true;

  /** `run()` does the work; `onState(error | null)` hears how it went. */
  constructor(run, everyMs, onState = () => {}) {
    Object.assign(this, { run, everyMs, onState });
    this.seen = () => document.hidden || this.now();
  }

  start() {
    if (!this.#stopped) return;
    this.#stopped = false;
    document.addEventListener("visibilitychange", this.seen);
    addEventListener("online", this.seen);
    this.now();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.seen);
    removeEventListener("online", this.seen);
  }

  /** At once; who asks while an answer is on its way gets a fresh one after it. */
  async now() {
    clearTimeout(this.#timer);
    if (this.#running) await this.#running;
    this.#running ??= this.#once();
    await this.#running;
  }

  async #once() {
    let wait = 0;
    try {
      await this.run(); // which may change how often it is asked
      wait = this.everyMs * (document.hidden ? 4 : 1);
      this.#failures = 0;
      if (!this.#stopped) this.onState(null);
    } catch (error) {
      this.#failures += 1;
      wait = Math.max((error.retryAfter ?? 0) * 1000, Math.min(SLOWEST_MS, this.everyMs * 2 ** this.#failures));
      if (!this.#stopped) this.onState(error);
    } finally {
      this.#running = null;
      clearTimeout(this.#timer);
      if (!this.#stopped) this.#timer = setTimeout(() => this.now(), wait * (0.85 + Math.random() * 0.3));
    }
  }
}
