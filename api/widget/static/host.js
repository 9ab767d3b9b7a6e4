/* The page around the frame: only messages of the window above us, of one origin, in our version. */

const VERSION = 1;

export class Host {
  #origin = null;

  constructor(allowed, handlers) {
    this.framed = window.parent !== window;
    addEventListener("message", (event) => {
      const { data, origin, source } = event;
      if (!this.framed || source !== window.parent || !data || data.helpdesk !== VERSION) return;
      if (origin !== location.origin && !allowed.includes(origin) && !allowed.includes("*")) return;
      if (this.#origin && origin !== this.#origin) return;
      this.#origin = origin;
      handlers[data.type]?.(data);
    });
    // Nobody is known yet, so this first word goes to anyone and says nothing.
    if (this.framed) window.parent.postMessage({ helpdesk: VERSION, type: "hello" }, "*");
  }

  tell(type, data = {}) {
    if (this.framed && this.#origin) window.parent.postMessage({ helpdesk: VERSION, type, ...data }, this.#origin);
  }
}
