/* Signing in: at first over an empty page, later over whatever was being done, which stays as it is behind it. */

import { explain } from "./api.js";
import { Notice, busy, field } from "./parts.js";
import { h } from "./shared/dom.js";

export class SignIn {
  #waiting = null;

  /** `onOther(who)` hears that somebody else than before has signed in, `onOut()` that nobody wants to, if they `mayLeave()`. */
  constructor(api, { onOther, onOut, mayLeave }) {
    Object.assign(this, { api, onOther, onOut, mayLeave, who: null });
    this.notice = new Notice();
    this.email = h("input", { type: "email", name: "username", autocomplete: "username", required: true, spellcheck: "false" });
    this.password = h("input", { type: "password", name: "password", autocomplete: "current-password", required: true });
    this.button = h("button", { type: "submit", class: "button primary wide" }, "Sign in");
    this.out = h("button", { type: "button", class: "button quiet wide", hidden: true, onclick: () => this.#leave() }, "Sign out");
    this.heading = h("h1", { id: "signin-title" });
    this.words = h("p", { class: "soft" });
    this.node = h("dialog", { class: "signin", "aria-labelledby": "signin-title" },
      h("form", { onsubmit: (event) => this.#submit(event) }, this.heading, this.words, field("E-mail address", this.email), field("Password", this.password),
        this.notice.node, this.button, this.out));
    this.node.addEventListener("cancel", (event) => event.preventDefault());
    this.node.addEventListener("close", () => this.#waiting && this.node.showModal()); // a browser may close it all the same
    document.body.append(this.node);
  }

  /** Who signed in; the same answer for all who ask meanwhile. */
  ask() {
    if (!this.#waiting) {
      this.#waiting = Promise.withResolvers?.() ?? deferred();
      this.#open();
    }
    return this.#waiting.promise;
  }

  forget() {
    this.who = null;
    this.email.value = "";
  }

  #open() {
    const again = Boolean(this.who);
    this.heading.textContent = again ? "Sign in again" : "Helpdesk";
    this.words.textContent = again ? "Your sign-in has run out. What you were writing is still here." : "Sign in to the staff console.";
    this.node.classList.toggle("again", again);
    this.out.hidden = !again;
    this.notice.clear();
    this.password.value = "";
    if (again) this.email.value = this.who.user.email;
    if (!this.node.open) this.node.showModal();
    (again ? this.password : this.email).focus();
  }

  async #submit(event) {
    event.preventDefault();
    await busy(this.button, async () => {
      try {
        await this.#signedIn(await this.api.signIn(this.email.value.trim(), this.password.value));
      } catch (error) {
        this.notice.error(error.status === 401 ? "The address or the password is wrong." : error.status === 422 ? "This is not an e-mail address." : explain(error));
        this.password.select();
      }
    });
  }

  async #signedIn(who) {
    if (!who.user || who.role === "customer") {
      this.api.signOut();
      this.notice.error("This account is not one of the support team.");
      return;
    }
    const other = this.who && this.who.user.id !== who.user.id;
    const waiting = this.#waiting;
    this.#waiting = null;
    this.who = who;
    this.password.value = "";
    this.node.close();
    if (other) {
      waiting.reject(new Error("Somebody else has signed in."));
      this.onOther(who);
    } else waiting.resolve(who);
  }

  #leave() {
    if (!this.mayLeave()) return;
    const waiting = this.#waiting;
    this.#waiting = null;
    this.node.close();
    waiting.reject(new Error("You have signed out."));
    this.onOut();
  }
}

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
