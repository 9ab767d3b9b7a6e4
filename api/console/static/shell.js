/* What stays around the views: where one can go, what waits there, who is signed in, and what is said aloud. */

import { explain } from "./api.js";
import { Notice, busy } from "./parts.js";
import { h } from "./shared/dom.js";
import { name } from "./words.js";

export class Shell {
  #counts = new Map();
  #current = "";
  #away = new Map(); // who finds it -> what is said

  /** `views` is a list of {id, title}; those that this person may use. */
  constructor(api, who, views, { onSignOut, onAccount }) {
    Object.assign(this, { api, who, views });
    this.links = new Map(views.map(({ id, title }) => {
      const count = h("span", { class: "count", hidden: true });
      return [id, { count, title, link: h("a", { href: `#/${id}` }, h("span", {}, title), count) }];
    }));
    this.main = h("main", { id: "main", tabIndex: -1 });
    this.notice = new Notice();
    this.speech = h("div", { class: "unseen", "aria-live": "polite", role: "status" });
    this.banner = h("div", { class: "banner", role: "status", hidden: true });
    this.duty = h("button", { type: "button", class: "duty", role: "switch", onclick: () => busy(this.duty, () => this.#switchDuty(), this.notice) });
    this.called = h("span", { class: "strong", dir: "auto" });
    this.isNow(who.user);
    this.heading = h("h1", { class: "unseen" });
    this.node = h("div", { class: "shell" },
      h("a", { class: "skip", href: "#main", onclick: (event) => {
        event.preventDefault();
        this.main.focus();
      } }, "Skip to the content"),
      h("header", { class: "side" },
        h("p", { class: "brand", dir: "auto" }, who.tenant_name),
        h("nav", { "aria-label": "Views" }, ...[...this.links.values()].map(({ link }) => link)),
        h("div", { class: "me" },
          h("p", { class: "whoami" }, this.called, h("span", { class: "soft" }, name(who.role))),
          this.duty, h("button", { type: "button", class: "button quiet", onclick: onAccount }, "Account"),
          h("button", { type: "button", class: "button quiet", onclick: onSignOut }, "Sign out"))),
      h("div", { class: "room" }, this.banner, this.notice.node, this.main), this.speech);
    this.main.append(this.heading);
    document.body.append(this.node);
  }

  /** The link of the view that was left leads back to where one was, the link of the current one to its beginning. */
  go(id, left = "", address = "") {
    this.#current = id;
    if (left) this.links.get(left).link.href = address;
    this.links.get(id).link.href = `#/${id}`;
    for (const [other, { link }] of this.links) {
      if (other === id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.links.get(id)?.link.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.notice.clear();
    this.heading.textContent = this.links.get(id).title;
    this.#title();
  }

  /** How many things wait in a view. */
  count(id, count, what) {
    this.#counts.set(id, count);
    const found = this.links.get(id);
    if (!found) return;
    found.count.hidden = !count;
    found.count.textContent = count > 99 ? "99+" : String(count || "");
    found.link.setAttribute("aria-label", count ? `${found.title}, ${count} ${what}` : found.title);
    this.#title();
  }

  /** Read out, and not shown. */
  say(text) {
    this.speech.replaceChildren(h("p", {}, text));
  }

  /** Why `who` can't be kept up to date, or null; it is said until everybody is again. */
  lost(who, error) {
    if (error) this.#away.set(who, `${explain(error)} What you see may be old; it is tried again.`);
    else this.#away.delete(who);
    const [text = ""] = this.#away.values();
    if (this.banner.textContent !== text) this.banner.textContent = text;
    this.banner.hidden = !text;
  }

  /** Who is signed in, after a change of theirs. */
  isNow(user) {
    this.who.user = user;
    this.called.textContent = user.name || user.email;
    this.#showDuty();
  }

  remove() {
    this.node.remove();
    document.title = "Sign in · Helpdesk";
  }

  async #switchDuty() {
    const changed = await this.api.change("PATCH", "/auth/me", { is_available: !this.who.user.is_available });
    this.isNow(changed.user);
    this.say(changed.user.is_available ? "You are on duty." : "You are off duty.");
  }

  #showDuty() {
    const on = this.who.user.is_available;
    this.duty.setAttribute("aria-checked", String(on));
    this.duty.setAttribute("aria-label", "On duty");
    this.duty.title = on ? "New work may be given to you." : "No new work is given to you.";
    this.duty.replaceChildren(h("span", { class: "knob", "aria-hidden": "true" }), on ? "On duty" : "Off duty");
  }

  #title() {
    const waiting = [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
    document.title = `${waiting ? `(${waiting}) ` : ""}${this.links.get(this.#current)?.title ?? "Console"} · Helpdesk`;
  }
}
