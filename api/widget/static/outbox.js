/* What was typed and is not yet stored on the server: kept through a reload, sent once, in order, by one tab at a time. */

import { newKey } from "./api.js";

export class Outbox {
  #running = false;
  #again = false;

  /** `deliver(item)` resolves when the server has the item, throws to try later; an error with `fatal` drops it. */
  constructor(storage, deliver, onChange) {
    Object.assign(this, { storage, deliver, onChange });
    addEventListener("online", () => this.flush());
  }

  get items() {
    return this.storage.get("outbox") ?? [];
  }

  add(text, attachments = []) {
    const item = { key: newKey(), text, attachments, at: new Date().toISOString() };
    this.#keep([...this.items, item]);
    this.flush();
    return item;
  }

  drop(key) {
    this.#keep(this.items.filter((item) => item.key !== key));
  }

  clear() {
    this.#keep([]);
  }

  async flush() {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    try {
      do {
        this.#again = false;
        await this.#alone(() => this.#drain());
      } while (this.#again);
    } finally {
      this.#running = false;
    }
  }

  async #drain() {
    for (let item; (item = this.items.find((kept) => !kept.failed)); ) {
      try {
        await this.deliver(item);
        this.drop(item.key);
      } catch (error) {
        if (!error.fatal) {
          clearTimeout(this.timer);
          this.timer = setTimeout(() => this.flush(), (error.retryAfter ?? 3) * 1000);
          return;
        }
        this.#keep(this.items.map((kept) => (kept.key === item.key ? { ...kept, failed: error.message } : kept)));
      }
    }
  }

  /** Two tabs share the outbox; the server's idempotency keys hold where the browser has no locks. */
  async #alone(work) {
    if (navigator.locks) await navigator.locks.request(`${this.storage.prefix}outbox`, work);
    else await work();
  }

  #keep(items) {
    this.storage.set("outbox", items);
    this.onChange();
  }
}
