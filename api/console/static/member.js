/* One colleague: what they are called, what they may do, and whether they are let in. */

import { explain } from "./api.js";
import { Notice, action, ask, badge, check, choice, facts, failed, field, loading } from "./parts.js";
import { h } from "./shared/dom.js";
import { date } from "./words.js";

const ROLES = [["agent", "Support agent"], ["admin", "Admin"]];
const WORDS = "abcdefghjkmnpqrstuvwxyz23456789"; // none that are taken for one another

export class MemberView {
  #turn = 0;

  /** `onChange()` is called where the list is not as it was. */
  constructor(desk, id, onChange) {
    Object.assign(this, { desk, id, onChange });
    this.notice = new Notice();
    this.node = h("article", { "aria-label": "Colleague" }, loading("Looking up the colleague"));
    this.#read();
  }

  get #isMe() {
    return this.id === this.desk.who.user.id;
  }

  async #read() {
    const turn = (this.#turn += 1);
    try {
      const member = await this.desk.api.read(`/users/${this.id}`);
      if (turn === this.#turn) this.#show(member);
    } catch (error) {
      const unknown = error.status === 404 || error.status === 422;
      if (turn === this.#turn) this.node.replaceChildren(failed(unknown ? new Error("There is no such colleague.") : error, () => this.#read()));
    }
  }

  #show(member) {
    this.member = member;
    const { notice } = this;
    const called = h("input", { type: "text", value: member.name, maxLength: 200, autocomplete: "off", dir: "auto" });
    const teams = h("input", { type: "text", value: member.teams.join(", "), autocomplete: "off", spellcheck: "false" });
    let role = member.role;
    const duty = check("On duty", { checked: member.is_available, hint: "Turns of the teams' tickets are given to them, and customers are told that somebody is there." });
    const save = h("button", { type: "submit", class: "button primary" }, "Save");
    const form = h("form", { class: "card stack", onsubmit: (event) => {
      event.preventDefault();
      this.#do(save, { name: called.value.trim(), role, teams: teamsOf(teams.value), is_available: duty.box.checked }, "Saved.");
    } },
    field("Name", called, "What customers and colleagues see."),
    this.#isMe ? null : choice("Role", ROLES, role, (chosen) => (role = chosen)),
    field("Teams", teams, "In small letters, with commas between them; tickets are routed to them."), duty.node, h("div", { class: "actions" }, save));
    this.node.replaceChildren(
      h("header", { class: "head" }, h("a", { class: "back", href: "#/team" }, "‹ Team"),
        h("div", { class: "title" }, h("h2", { dir: "auto" }, member.name || member.email), member.is_active ? null : badge("Closed", "bad")),
        h("div", { class: "actions" }, ...(this.#isMe ? [] : this.#doors(member)))),
      h("div", { class: "sheet" }, notice.node, facts([["E-mail address", member.email], ["Here since", date(member.created_at)]]), form,
        this.#isMe ? h("p", { class: "soft" }, "This is you: your password is under Account.") : null));
  }

  #doors(member) {
    if (!member.is_active) return [action("Let in again", () => this.#change({ is_active: true }, "They may sign in again."), { notice: this.notice })];
    return [
      action("New password…", () => this.#password(member), { notice: this.notice }),
      action("Close the account…", () => ask({
        title: "Close this account", button: "Close it", kind: "danger",
        text: "They are signed out at once and can't sign in. What they wrote stays under their name; the account can be opened again.",
        run: () => this.#change({ is_active: false }, "Closed. They are signed out everywhere."),
      }), { kind: "danger", notice: this.notice }),
    ];
  }

  #password(member) {
    const given = passwordField();
    return ask({
      title: "A new password", text: `For ${member.name || member.email}, who is signed out everywhere. Tell them in person, and that they change it under Account.`,
      button: "Give it", extra: given.node, run: () => this.#change({ password: given.value }, "The new password holds."),
    });
  }

  async #do(button, changes, done) {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    this.notice.clear();
    try {
      await this.#change(changes, done);
    } catch (error) {
      this.notice.error(error.fields?.some(({ pointer }) => pointer.includes("teams")) ? "A team has a name of small letters, digits, - and _." : explain(error));
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  async #change(changes, done) {
    const member = await this.desk.api.change("PATCH", `/users/${this.id}`, changes);
    if (this.#isMe) this.desk.shell.isNow(member);
    this.onChange();
    this.#show(member);
    this.notice.done(done);
    this.desk.shell.say(done);
  }
}

/** Ask for what a new colleague needs; `onAdded(member)` hears of them. */
export function addMember(desk, onAdded) {
  const email = h("input", { type: "email", required: true, autocomplete: "off", spellcheck: "false" });
  const called = h("input", { type: "text", maxLength: 200, autocomplete: "off", dir: "auto" });
  let role = "agent";
  const given = passwordField();
  return ask({
    title: "Add a colleague", button: "Add",
    extra: h("div", { class: "stack" }, field("E-mail address", email), field("Name", called, "What customers and colleagues see."),
      choice("Role", ROLES, role, (chosen) => (role = chosen)), given.node),
    run: async () => onAdded(await desk.api.post("/users", { email: email.value.trim(), name: called.value.trim(), role, password: given.value })),
  });
}

/** A first password, shown: it is told to somebody else. */
function passwordField() {
  const input = h("input", { type: "text", value: made(), required: true, minLength: 10, maxLength: 200, autocomplete: "off", spellcheck: "false" });
  return { node: field("Password", input, "At least 10 characters. Told in person, and changed under Account."), get value() { return input.value; } };
}

function made() {
  const parts = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => WORDS[byte % WORDS.length]).join("");
  return parts.match(/.{4}/g).join("-");
}

const teamsOf = (text) => [...new Set(text.split(/[\s,]+/).filter(Boolean))];
