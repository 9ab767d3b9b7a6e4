/* One endpoint: how it does, its secret once, and what an admin does with it; below it what was sent. */

import { Deliveries } from "./deliveries.js";
import { Notice, action, ask, badge, facts, failed, field, loading } from "./parts.js";
import { Poll } from "./poll.js";
import { h } from "./shared/dom.js";
import { WebhookForm } from "./webhookform.js";
import { date, plural, when } from "./words.js";

const EVERY_MS = 5000;
const SOON_MS = 800; // while something is tried for the first time

export class WebhookView {
  #ended = false;
  #drawn = "";
  #editing = false;

  /** `secrets`: what was made and not yet put away, by endpoint. `onChange()` is called where the list is not as it was. */
  constructor(desk, id, { secrets, onChange }) {
    Object.assign(this, { desk, id, secrets, onChange });
    this.notice = new Notice();
    this.secret = h("div", {});
    this.about = h("div", { class: "stack" });
    this.head = h("header", { class: "head" });
    this.log = new Deliveries(desk, id, () => this.poll.now());
    this.page = [this.head, h("div", { class: "sheet" }, this.notice.node, this.secret, this.about, this.log.node)];
    this.node = h("article", { "aria-label": "Endpoint" }, loading("Looking up the endpoint"));
    this.poll = new Poll(() => this.#look(), EVERY_MS, (error) => this.#heard(error));
    this.poll.start();
  }

  end() {
    this.#ended = true;
    this.poll.stop();
    this.desk.shell.lost("webhook", null);
  }

  async #look() {
    const [endpoint] = await Promise.all([this.desk.api.read(`/webhooks/${this.id}`), this.log.read()]);
    this.poll.everyMs = this.log.isTrying ? SOON_MS : EVERY_MS;
    if (!this.#ended) this.#show(endpoint);
  }

  #heard(error) {
    const gone = error?.status === 404 || error?.status === 422;
    this.desk.shell.lost("webhook", gone ? null : error);
    if (gone) this.poll.stop();
    if (error && (gone || !this.endpoint)) this.node.replaceChildren(failed(gone ? new Error("There is no such endpoint.") : error, () => this.poll.now()));
  }

  #show(endpoint) {
    this.endpoint = endpoint;
    const drawn = JSON.stringify(endpoint);
    if (this.#editing || drawn === this.#drawn) return;
    if (this.#drawn) this.onChange();
    this.#drawn = drawn;
    const { notice } = this;
    const on = endpoint.status === "active";
    this.head.replaceChildren(h("a", { class: "back", href: "#/webhooks" }, "‹ Webhooks"),
      h("div", { class: "title" }, h("h2", { dir: "auto" }, endpoint.description || hostOf(endpoint.url)), state(endpoint)),
      h("div", { class: "actions" }, on ? action("Send a test", () => this.#test(), { kind: "primary", notice }) : action("Turn on", () => this.#change({ status: "active" }, "It is on. What failed before can be sent again below."), { kind: "primary", notice }),
        action("Edit", () => this.#edit(), { notice }), action("New secret…", () => this.#rotate(), { notice }), on ? action("Turn off…", () => this.#turnOff(), { notice }) : null,
        action("Remove…", () => this.#remove(), { kind: "danger", notice })));
    this.about.replaceChildren(h("p", {}, h("code", {}, endpoint.url)), facts([
      ["What is sent", endpoint.events.includes("*") ? "Every event" : endpoint.events.join(", ")], ["Since", date(endpoint.created_at)],
      ["Turned off because", endpoint.disabled_because], ["Failures in a row", endpoint.failures || null], ["Failing since", endpoint.failing_since ? when(endpoint.failing_since) : null],
      ["Rests until", endpoint.rests_until ? when(endpoint.rests_until) : null], ["The secret before signs until", endpoint.previous_secret_until ? when(endpoint.previous_secret_until) : null],
    ]));
    if (!this.head.isConnected) this.node.replaceChildren(...this.page);
    this.#showSecret();
  }

  #showSecret() {
    const secret = this.secrets.get(this.id);
    if (!secret) {
      this.secret.replaceChildren();
      return;
    }
    const box = h("input", { type: "text", readOnly: true, value: secret, class: "code", onfocus: () => box.select() });
    const copy = action("Copy", async () => {
      await navigator.clipboard.writeText(secret);
      this.desk.shell.say("Copied.");
      copy.textContent = "Copied";
    }, { hidden: !navigator.clipboard, notice: this.notice });
    this.secret.replaceChildren(h("section", { class: "card" }, h("h2", {}, "The secret that signs what is sent"),
      h("p", {}, "Keep it with the system that receives: it is shown this once."), field("Secret", box), h("div", { class: "actions" }, copy, action("I have kept it", () => {
        this.secrets.delete(this.id);
        this.#showSecret();
      }))));
  }

  #edit() {
    this.#editing = true;
    const back = () => {
      this.#editing = false;
      this.#drawn = "";
      this.node.replaceChildren(...this.page);
      this.#show(this.endpoint);
    };
    const form = new WebhookForm(this.desk, this.endpoint, { onCancel: back, onSaved: (endpoint) => {
      this.endpoint = endpoint;
      back();
      this.onChange();
      this.#done("Saved.");
    } });
    this.node.replaceChildren(form.node);
    form.url.focus();
  }

  async #test() {
    await this.desk.api.post(`/webhooks/${this.id}/test`);
    await this.poll.now();
    this.#done("A test is on its way; below stands what comes of it.");
  }

  #rotate() {
    return ask({
      title: "Make a new secret", text: "The one before signs beside it for 24 hours, so that the receiver can change over.", button: "Make it",
      run: async () => {
        const { secret, ...endpoint } = await this.desk.api.post(`/webhooks/${this.id}/rotate`);
        this.secrets.set(this.id, secret);
        this.#drawn = "";
        this.#show(endpoint);
      },
    });
  }

  #turnOff() {
    return ask({ title: "Turn this endpoint off", text: "Nothing is sent there any more, and what waits counts as failed.", button: "Turn it off", kind: "danger", run: () => this.#change({ status: "disabled" }, "It is off.") });
  }

  #remove() {
    return ask({ title: "Remove this endpoint", text: "With its secret and the log of what was sent. This can't be undone.", button: "Remove it", kind: "danger", run: async () => {
      await this.desk.api.change("DELETE", `/webhooks/${this.id}`);
      this.secrets.delete(this.id);
      this.end();
      this.onChange();
      location.hash = "#/webhooks";
    } });
  }

  async #change(wish, done) {
    this.#show(await this.desk.api.change("PATCH", `/webhooks/${this.id}`, wish));
    this.onChange();
    await this.poll.now();
    this.#done(done);
  }

  #done(text) {
    this.notice.done(text);
    this.desk.shell.say(text);
  }
}

/** How an endpoint does, as a badge. */
export function state({ status, failures }) {
  if (status !== "active") return badge("Off", "bad");
  return failures ? badge(`${plural(failures, "failure")} in a row`, "warm") : badge("On", "good");
}

export function hostOf(url) {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}
