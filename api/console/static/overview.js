/* The overview: what somebody should look at, what waits now, and how a range of days went. */

import { bar, columns } from "./charts.js";
import { Notice, action, badge, choice, empty, failed, loading } from "./parts.js";
import { Poll } from "./poll.js";
import { h } from "./shared/dom.js";
import { date, duration, name, number, percent, plural, when } from "./words.js";

const EVERY_MS = 60_000;
const DAY_MS = 86_400_000;

export class Overview {
  #turn = 0;

  constructor(desk) {
    this.desk = desk;
    this.days = "30";
    this.notice = new Notice();
    this.body = h("div", { class: "stack" }, loading("Adding up"));
    const range = choice("Days", [["7", "Last 7 days"], ["30", "Last 30 days"], ["90", "Last 90 days"]], this.days, (days) => {
      this.days = days;
      this.#turn += 1;
      this.poll.now();
    });
    range.classList.add("inline");
    this.node = h("section", { class: "page" }, h("div", { class: "page-head" }, h("h2", { class: "big" }, "Overview"), range), this.notice.node, this.body);
    this.poll = new Poll(() => this.#look(), EVERY_MS, (error) => this.#heard(error));
  }

  show() {
    this.poll.start();
  }

  hide() {
    this.poll.stop();
  }

  end() {
    this.poll.stop();
  }

  async #look() {
    const turn = this.#turn;
    const first = new Date(Date.now() - (Number(this.days) - 1) * DAY_MS).toISOString().slice(0, 10);
    const found = await this.desk.api.read(`/analytics/dashboard?first=${first}&last=${new Date().toISOString().slice(0, 10)}`);
    if (turn !== this.#turn) return;
    const same = JSON.stringify(found) === JSON.stringify(this.found);
    this.found = found;
    if (!same) this.#show(found);
  }

  #heard(error) {
    this.desk.shell.lost("overview", error);
    if (error && !this.found) this.body.replaceChildren(failed(error, () => this.poll.now()));
  }

  #show(found) {
    const open = [...this.body.querySelectorAll("details")].map((details) => details.open);
    this.body.replaceChildren(this.#alerts(found.alerts), this.#now(found.system), this.#figures(found), ...this.#curves(found), this.#intents(found.intents), this.#levels(found));
    [...this.body.querySelectorAll("details")].forEach((details, index) => (details.open = open[index] ?? false));
  }

  #alerts(alerts) {
    const rows = alerts.map((alert) => h("li", { class: alert.acknowledged_at ? "" : "urgent" },
      h("p", { class: "title" }, h("span", { class: "strong" }, name(alert.kind)), h("span", { class: "soft", dir: "auto" }, told(alert), " · ", when(alert.created_at))),
      alert.acknowledged_at ? badge("Somebody sees to it", "good") : action("I see to it", async () => {
        await this.desk.api.post(`/analytics/alerts/${alert.id}/acknowledge`);
        await this.poll.now();
      }, { notice: this.notice })));
    return h("section", { class: "card" }, h("h2", {}, "To look at"), rows.length ? h("ul", { class: "alerts" }, ...rows) : h("p", { class: "soft" }, "Nothing is wrong that anybody has found."));
  }

  #now({ waiting, knowledge, whmcs }) {
    const pairs = [
      ["Customers waiting", waiting.handoffs, "#/inbox"], ["Drafts to decide", waiting.drafts, "#/tickets"], ["Tickets to work on", waiting.tickets, "#/tickets/all"],
      ["Replies not arrived", waiting.replies_not_sent], ["Articles published", knowledge.articles], ["Approved examples", knowledge.examples], ["Corrections", knowledge.corrections],
    ];
    const sync = whmcs.connected ? h("p", { class: "hint" }, "WHMCS: last in step ", whmcs.synced_at ? when(whmcs.synced_at) : "never", whmcs.failures ? `, ${plural(whmcs.failures, "failure")} since` : "") : null;
    return h("section", { class: "card" }, h("h2", {}, "Now"), tiles(pairs.map(([label, value, link]) => [link ? h("a", { href: link }, label) : label, number(value)])), sync);
  }

  #figures({ range, conversations, handoffs, tickets, drafts, feedback, answers, cost }) {
    const { csat } = feedback;
    return h("section", { class: "card" }, h("h2", {}, `From ${date(range.first)} to ${date(range.last)}`), tiles([
      ["Conversations with a question", number(conversations.asked)], ["Settled without a person", percent(conversations.deflection_rate)],
      ["Handed over", percent(conversations.handoff_rate)], ["Claimed after", duration(handoffs.claimed_after_s)], ["Answers: an honest no", percent(answers.honest_no_rate)],
      ["Answer takes (95 of 100)", duration(answers.duration_s.p95)], ["Tickets opened", number(tickets.opened)], ["First reply after", duration(tickets.first_reply_s)],
      ["Resolved after", duration(tickets.resolution_s)], ["Drafts approved", `${number(drafts.approved)} of ${number(drafts.written)}`],
      ["Likeness of draft and reply", percent(drafts.mean_similarity)], ["Stars", csat.count ? `${number(csat.mean)} of 5 (${csat.count})` : "–"], ["Thumbs up / down", `${feedback.thumbs_up} / ${feedback.thumbs_down}`],
      ["Tokens", number(cost.input_tokens + cost.output_tokens)], ["Cost", number(cost.cost)],
    ]), h("p", { class: "hint" }, "Days are UTC. A dash stands where there is nothing yet to divide by."));
  }

  #curves({ daily }) {
    const labels = daily.map(({ since }) => new Date(since).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" }));
    const one = (title, series) => h("section", { class: "card" }, h("h2", {}, title),
      h("p", { class: "legend" }, ...series.map(({ name: label }, index) => h("span", {}, h("span", { class: `key key-${index}`, "aria-hidden": "true" }), label))),
      columns(labels, series, { title: `${title}, by day; the figures stand in the table below` }),
      h("details", {}, h("summary", {}, "As a table"), h("div", { class: "wide", tabIndex: 0, role: "region", "aria-label": title }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Day"), ...series.map(({ name: label }) => h("th", { scope: "col" }, label)))),
        h("tbody", {}, ...labels.map((label, day) => h("tr", {}, h("th", { scope: "row" }, label), ...series.map(({ values }) => h("td", {}, String(values[day]))))))))));
    return [
      one("Conversations", [{ name: "with a question", values: daily.map((day) => day.asked) }, { name: "handed over", values: daily.map((day) => day.handoffs) }]),
      one("Tickets", [{ name: "opened", values: daily.map((day) => day.tickets_opened) }, { name: "resolved", values: daily.map((day) => day.tickets_resolved) }]),
    ];
  }

  #intents(intents) {
    const most = Math.max(1, ...intents.map((intent) => intent.answers));
    return h("section", { class: "card" }, h("h2", {}, "What it was about"), intents.length
      ? h("ul", { class: "bars" }, ...intents.map((intent) => h("li", {}, h("span", {}, name(intent.intent) || "Nothing that is known", " ", h("span", { class: "soft" }, `${intent.escalated} to a person; ${intent.before} in the days before`)), bar(intent.answers / most), h("span", {}, number(intent.answers)))))
      : empty("No answers in these days.", "As soon as customers ask, you see here about what."));
  }

  #levels({ answers, drafts }) {
    return h("section", { class: "card" }, h("h2", {}, "Confidence, and what became of it"),
      h("div", { class: "wide", tabIndex: 0, role: "region", "aria-label": "Confidence, and what became of it" }, h("table", {}, h("thead", {}, h("tr", {}, ...["Level", "Answers", "Thumbs up", "Thumbs down", "Drafts unchanged", "Edited", "Rejected"].map((title) => h("th", { scope: "col" }, title)))),
        h("tbody", {}, ...["high", "medium", "low", "very_low"].map((level) => {
          const [said, written] = [answers.by_confidence[level], drafts.by_confidence[level]];
          return h("tr", {}, h("th", { scope: "row" }, name(level)), ...[said.answers, said.thumbs_up, said.thumbs_down, written.unchanged, written.edited, written.rejected].map((value) => h("td", {}, number(value))));
        })))));
  }
}

const tiles = (pairs) => h("dl", { class: "tiles" }, ...pairs.map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value))));

/** What an alert says beside its kind. */
function told({ subject, data }) {
  const parts = Object.entries(data ?? {}).filter(([, value]) => value !== null && typeof value !== "object").map(([key, value]) => `${name(key).toLowerCase()} ${value}`);
  return [subject, ...parts].filter(Boolean).join(", ");
}
