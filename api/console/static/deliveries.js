/* The log of an endpoint: what was sent, what came of it, and sending it again. */

import { explain } from "./api.js";
import { Notice, Rows, action, ask, badge, choice, empty, loading } from "./parts.js";
import { h } from "./shared/dom.js";
import { at, plural, when } from "./words.js";

const SHOWN = 50;
const STATES = { pending: ["On its way", "warm"], delivered: ["Delivered", "good"], failed: ["Failed", "bad"] };
const soon = (time, within = 60_000) => !time || new Date(time) - Date.now() < within;
const SINCE = [["1", "the last hour"], ["24", "the last day"], ["72", "the last three days"], ["720", "the last 30 days"]];

export class Deliveries {
  #wanted = "";
  #turn = 0;
  #further = []; // pages below the first, as they were asked for
  #next = null;

  /** `again()` has everything looked at anew. */
  constructor(desk, id, again) {
    Object.assign(this, { desk, again, path: `/webhooks/${id}` });
    this.notice = new Notice();
    this.rows = new Rows("Deliveries", { make: (delivery) => this.#row(delivery) });
    this.state = h("div", {}, loading());
    this.more = action("Show more", () => this.#more(), { notice: this.notice, hidden: true });
    const which = choice("Show", [["", "All"], ["failed", "Failed"], ["pending", "On their way"], ["delivered", "Delivered"]], "", (wanted) => this.#ask(wanted));
    which.classList.add("inline");
    this.node = h("section", { class: "card" }, h("div", { class: "page-head" }, h("h2", {}, "Sent within 30 days"),
      h("div", { class: "actions" }, which, action("Send what failed again…", () => this.#resend(), { notice: this.notice }))),
    this.notice.node, this.state, this.rows.node, this.more);
  }

  async read() {
    const turn = this.#turn;
    const { items, next_cursor: next } = await this.desk.api.read(this.#page());
    if (turn !== this.#turn) return;
    const first = new Set(items.map(({ id }) => id));
    this.#further = this.#further.filter(({ id }) => !first.has(id));
    if (!this.#further.length) this.#next = next;
    this.#show([...items, ...this.#further]);
    this.first = items;
  }

  /** Something is on its way of which nothing is known yet. */
  get isTrying() {
    return Boolean(this.first?.some(({ status, next_attempt_at: next }) => status === "pending" && soon(next, 10_000)));
  }

  #page(cursor = null) {
    return `${this.path}/deliveries?limit=${SHOWN}${this.#wanted ? `&status=${this.#wanted}` : ""}${cursor ? `&cursor=${cursor}` : ""}`;
  }

  #show(deliveries) {
    this.state.replaceChildren(...(deliveries.length ? [] : [empty("Nothing was sent.", this.#wanted ? "Choose another status." : "Send a test, or wait for the first event.")]));
    this.rows.node.hidden = !deliveries.length;
    this.rows.show(deliveries);
    this.more.hidden = !this.#next;
  }

  #ask(wanted) {
    this.#wanted = wanted;
    this.#turn += 1;
    this.#further = [];
    this.#next = null;
    this.state.replaceChildren(loading());
    this.rows.node.hidden = true;
    this.more.hidden = true;
    this.again();
  }

  async #more() {
    const turn = this.#turn;
    const { items, next_cursor: next } = await this.desk.api.read(this.#page(this.#next));
    if (turn !== this.#turn) return;
    this.#further.push(...items);
    this.#next = next;
    this.#show([...this.first, ...this.#further]);
  }

  #row(delivery) {
    const [label, tone] = delivery.status === "pending" && delivery.attempts ? ["Tried again", "warm"] : STATES[delivery.status];
    const body = h("pre", { class: "said code-text", tabIndex: 0, "aria-label": "What is sent" }, "…");
    const details = h("details", { ontoggle: () => details.open && this.#readBody(delivery, body) }, h("summary", {}, "What is sent"), body);
    return h("div", { class: "delivery" },
      h("p", { class: "title" }, badge(label, tone), h("code", {}, delivery.event_type), h("span", { class: "soft" }, at(delivery.created_at), delivery.attempts ? ` · ${plural(delivery.attempts, "attempt")}` : "",
        delivery.attempts && delivery.status === "pending" ? h("span", {}, " · next ", soon(delivery.next_attempt_at) ? "in a moment" : when(delivery.next_attempt_at)) : null)),
      delivery.status !== "delivered" && delivery.last_error ? h("p", { class: "soft", dir: "auto" }, `Last attempt: ${delivery.last_error}`) : null,
      h("div", { class: "actions" }, details, delivery.status === "delivered" ? null : action(delivery.status === "failed" ? "Send again" : "Send now", () => this.#replay(delivery), { notice: this.notice })));
  }

  async #readBody({ id }, body) {
    try {
      const { payload } = await this.desk.api.read(`${this.path}/deliveries/${id}`);
      body.textContent = JSON.stringify(payload, null, 2);
    } catch (error) {
      body.textContent = explain(error);
    }
  }

  async #replay({ id }) {
    await this.desk.api.post(`${this.path}/deliveries/${id}/replay`);
    await this.again();
  }

  #resend() {
    let hours = "24";
    return ask({
      title: "Send what failed again", button: "Send it again", text: "Each under its own id, so that the receiver knows what it has already.",
      extra: choice("What failed within", SINCE, hours, (chosen) => (hours = chosen)),
      run: async () => {
        const since = new Date(Date.now() - Number(hours) * 3_600_000).toISOString();
        const { deliveries } = await this.desk.api.post(`${this.path}/replay`, { since });
        await this.again();
        this.notice.done(deliveries ? `${plural(deliveries, "delivery", "deliveries")} will be sent again.` : "Nothing has failed since then.");
      },
    });
  }
}
