/* Ranking: how much each of the four sources counts in a search, what the outcomes speak for, and what it was before. */

import { bar } from "./charts.js";
import { Notice, action, ask, badge, busy, check, empty, facts, failed, field, loading } from "./parts.js";
import { h } from "./shared/dom.js";
import { at, number, percent, plural } from "./words.js";

const SOURCES = [["global_kb", "The library's articles"], ["tenant_kb", "Our articles"], ["example", "Approved examples"], ["correction", "Corrections"]];
const KINDS = { set: "Set by hand", reset: "Back to the defaults", recommended: "As the outcomes spoke for" };

export class Ranking {
  #turn = 0;

  constructor(desk) {
    this.desk = desk;
    this.notice = new Notice();
    this.body = h("div", { class: "stack" }, loading());
    this.node = h("section", { class: "page" }, h("div", { class: "page-head" }, h("h2", { class: "big" }, "Ranking"), h("p", { class: "soft" }, "What is changed here holds from the next search on.")), this.notice.node, this.body);
  }

  show() {
    this.#read();
  }

  async #read() {
    const turn = (this.#turn += 1);
    try {
      const { api } = this.desk;
      const [now, advice, { items: history }] = await Promise.all([api.read("/weights"), api.read("/weights/recommend"), api.read("/weights/history?limit=50")]);
      if (turn === this.#turn) this.#show(now, advice, history);
    } catch (error) {
      if (turn === this.#turn) this.body.replaceChildren(failed(error, () => this.#read()));
    }
  }

  #show(now, advice, history) {
    this.now = now;
    this.body.replaceChildren(this.#form(now), this.#advice(advice), this.#history(history));
  }

  #form(now) {
    const notice = new Notice();
    const amount = (value, most, step) => h("input", { type: "number", min: "0", max: most, step, required: true, value: String(value) });
    const weights = SOURCES.map(([key, label]) => [key, label, amount(round(now.weights[key] * 100), "1000", "any")]);
    const passages = amount(now.top_k, "20", "1");
    passages.min = "1";
    const threshold = amount(round(now.threshold), "1", "any");
    const rerank = check("Rerank what was found", { checked: now.rerank, hint: "By likeness alone; what has less than the least likeness is left out." });
    const reason = h("input", { type: "text", maxLength: 500 });
    const save = h("button", { type: "submit", class: "button primary" }, "Save");
    const form = h("form", { class: "card", onsubmit: async (event) => {
      event.preventDefault();
      await busy(save, () => this.#change({
        weights: Object.fromEntries(weights.map(([key, , input]) => [key, Number(input.value)])), top_k: Number(passages.value), rerank: rerank.box.checked, threshold: Number(threshold.value),
        reason: reason.value.trim(), version: this.now.version,
      }), notice);
    } },
    h("h2", {}, "How much each source counts"), h("div", { class: "filters" }, ...weights.map(([, label, input]) => field(label, input))),
    h("p", { class: "hint" }, "In parts of 100, or of anything else: only how they stand to each other matters."),
    h("div", { class: "filters" }, field("Passages that an answer may rest on", passages), field("Least likeness", threshold, "From 0 to 1.")), rerank.node, field("Reason", reason, "Kept below; may be empty."), notice.node,
    h("div", { class: "actions" }, save, action("Back to the defaults…", () => this.#reset(), { notice })));
    return form;
  }

  #advice({ id, change, weights, current, outcomes, reason, sources }) {
    const told = new Map(sources.map((each) => [each.source, each]));
    const row = ([key, label]) => {
      const { outcomes: count, mean, low, high } = told.get(key) ?? {};
      const said = count ? `${percent(mean)} of ${plural(count, "outcome")} went well (between ${percent(low)} and ${percent(high)})` : "nothing relied on it yet";
      return h("li", {}, h("span", {}, `${label} `, h("span", { class: "soft" }, said)), bar(weights[key]), h("span", {}, percent(weights[key])));
    };
    const apply = () => ask({ title: "Take these weights", button: "Take them", text: SOURCES.map(([key, label]) => `${label}: ${percent(current[key])}, then ${percent(weights[key])}.`).join(" "),
      run: async () => this.#done(await this.desk.api.post("/weights/apply", { recommendation: id }), "These weights hold now.") });
    return h("section", { class: "card" }, h("h2", {}, "What the outcomes speak for"), h("p", { class: "soft" }, reason || `From ${plural(outcomes, "outcome")}.`),
      change ? h("ul", { class: "bars" }, ...SOURCES.map(row)) : null, change ? h("div", { class: "actions" }, action("Take these weights…", apply, { notice: this.notice })) : null);
  }

  #history(history) {
    return h("section", { class: "card" }, h("h2", {}, "What it was before"), history.length
      ? h("ul", { class: "past" }, ...history.map((each) => h("li", { class: "delivery" }, h("p", { class: "title" }, badge(KINDS[each.kind] ?? "The defaults"), h("span", { class: "soft" }, at(each.changed_at), each.changed_by_name ? ` · ${each.changed_by_name}` : "")),
        each.reason ? h("p", { dir: "auto" }, each.reason) : null, facts([...SOURCES.map(([key, label]) => [label, percent(each.weights[key])]), ["Passages", each.top_k], ["Rerank", each.rerank ? `from ${number(each.threshold)}` : "no"]]))))
      : empty("Nobody has changed anything.", "The defaults hold."));
  }

  #reset() {
    return ask({ title: "Back to the defaults", text: "Of the weights and the limits. What holds now stays among what it was before.", label: "Reason", hint: "May be empty.", button: "Use the defaults",
      kept: this.desk.kept, keptAs: "ranking:reset", run: async (reason) => this.#done(await this.desk.api.post("/weights/reset", { reason }), "The defaults hold again.") });
  }

  async #change(wish) {
    try {
      this.#done(await this.desk.api.change("PUT", "/weights", wish), "Saved.");
    } catch (error) {
      if (error.status !== 409) throw error;
      this.now = await this.desk.api.read("/weights"); // what was typed stays, and replaces it when it is saved again
      throw new Error(`${this.now.changed_by_name ?? "Somebody"} has changed this meanwhile: ${SOURCES.map(([key, label]) => `${label} ${percent(this.now.weights[key])}`).join(", ")}. Save again to replace it with yours.`);
    }
  }

  #done(_, text) {
    this.notice.done(text);
    this.desk.shell.say(text);
    this.#read();
  }
}

const round = (value) => Math.round(value * 100) / 100;
