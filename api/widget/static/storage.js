/* Small things kept in the frame's own storage, shared by tabs; where the browser allows none, for this page only. */

export class Storage {
  #memory = new Map();

  constructor(prefix) {
    this.prefix = `helpdesk:${prefix}:`;
  }

  get(name) {
    try {
      const kept = localStorage.getItem(this.prefix + name);
      return kept === null ? (this.#memory.get(name) ?? null) : JSON.parse(kept);
    } catch {
      return this.#memory.get(name) ?? null;
    }
  }

  set(name, value) {
    this.#memory.set(name, value);
    try {
      if (value === null) localStorage.removeItem(this.prefix + name);
      else localStorage.setItem(this.prefix + name, JSON.stringify(value));
    } catch {
      // private mode: it lasts as long as the page
    }
  }

  onChange(listener) {
    addEventListener("storage", (event) => {
      if (event.key?.startsWith(this.prefix)) listener(event.key.slice(this.prefix.length));
    });
  }
}
