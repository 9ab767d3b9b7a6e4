/* The team: who may sign in here, as what, and who takes which tickets. For admins, who alone may change it. */

import { MemberView, addMember } from "./member.js";
import { Rows, Split, action, badge, empty, failed, loading } from "./parts.js";
import { h } from "./shared/dom.js";
import { name, plural } from "./words.js";

export class Team {
  #open = null;
  #turn = 0;
  #members = [];

  constructor(desk) {
    this.desk = desk;
    const groups = [["Here", "active"], ["Closed", "closed"]];
    this.rows = Object.fromEntries(groups.map(([title, key]) => [key, new Rows(title, { make: (member) => this.#row(member) })]));
    this.groups = groups.map(([title, key]) => h("section", { class: "group", hidden: true }, h("h2", {}, title), this.rows[key].node));
    this.state = h("div", {}, loading());
    this.split = new Split("#/team", h("h2", { class: "big" }, "Team"),
      h("div", { class: "actions" }, action("Add a colleague…", () => addMember(desk, (member) => this.#added(member)))), this.state, ...this.groups);
    this.node = this.split.node;
    this.read();
  }

  show([id = null]) {
    if (this.#open && this.#open.id === id) return;
    this.#open = id ? new MemberView(this.desk, id, () => this.read()) : null;
    this.split.show(this.#open?.node ?? empty("Nobody is chosen.", "Choose a colleague, or add one."), id);
  }

  async read() {
    const turn = (this.#turn += 1);
    try {
      const [users, load] = await Promise.all([this.desk.api.readAll("/users?kind=staff"), this.desk.api.read("/handoffs/colleagues")]);
      if (turn !== this.#turn) return;
      const work = new Map(load.items.map((each) => [each.id, each]));
      this.#members = users.map((user) => ({ ...user, work: work.get(user.id) ?? null }));
      const parts = [this.#members.filter((each) => each.is_active), this.#members.filter((each) => !each.is_active)];
      Object.values(this.rows).forEach((rows, index) => {
        rows.show(parts[index]);
        this.groups[index].hidden = !parts[index].length;
      });
      this.state.replaceChildren();
      this.split.mark();
    } catch (error) {
      if (turn === this.#turn) this.state.replaceChildren(failed(error, () => this.read()));
    }
  }

  #row({ id, name: called, email, role, is_available: here, is_active: active, teams, work }) {
    const load = work ? [work.conversations && plural(work.conversations, "conversation"), work.tickets && plural(work.tickets, "ticket")].filter(Boolean).join(", ") : "";
    return h("a", { href: `#/team/${id}` }, h("span", { class: "line" }, h("span", { class: "strong", dir: "auto" }, called || email), h("span", { class: "side-note" }, name(role))),
      called ? h("span", { class: "summary", dir: "auto" }, email) : null,
      h("span", { class: "badges" }, active ? badge(here ? "On duty" : "Off duty", here ? "good" : "") : null, ...teams.map((team) => badge(team)), load ? badge(load) : null));
  }

  async #added(member) {
    await this.read();
    location.hash = `#/team/${member.id}`;
  }
}
