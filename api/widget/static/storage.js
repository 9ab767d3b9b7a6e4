/* Small things kept in the frame's own storage, shared by tabs; where the browser allows none, for this page only. */

export class Storage {
  #memory = new Map(); // only what the browser would not keep: what another tab removes is gone here, too

  constructor(prefix) {
    this.prefix = `helpdesk:${prefix}:`;
  }

  get(name) {
    if (this.#memory.has(name)) return this.#memory.get(name);
    try {
      return JSON.parse(localStorage.getItem(this.prefix + name));
    } catch {
      return null;
    }
  }

  set(name, value) {
    try {
      if (value === null) localStorage.removeItem(this.prefix + name);
      else localStorage.setItem(this.prefix + name, JSON.stringify(value));
      this.#memory.delete(name);
    } catch {
      this.#memory.set(name, value); // private mode: it lasts as long as the page
    }
  }

  onChange(listener) {
    addEventListener("storage", (event) => {
      if (event.key?.startsWith(this.prefix)) listener(event.key.slice(this.prefix.length));
    });
  }
}
