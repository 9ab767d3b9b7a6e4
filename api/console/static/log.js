/* A conversation as colleagues read it: who said what, on what the assistant relied, and the answer in the making. */

import { explain } from "./api.js";
import { arrange } from "./parts.js";
import { h, icon } from "./shared/dom.js";
import { ANYWHERE, linked } from "./shared/links.js";
import { render } from "./shared/markdown.js";
import { at } from "./words.js";

const WHO = { customer: "Customer", bot: "Assistant", agent: "Colleague", system: "Helpdesk" };

export class Log {
  #rows = new Map(); // message id -> {mark, row}

  constructor(api, customer) {
    Object.assign(this, { api, customer });
    this.list = h("ol", { class: "log" });
    this.node = h("section", { class: "conversation", tabIndex: 0, "aria-label": "Conversation" }, this.list);
  }

  show({ ordered, live }) {
    const near = this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight < 80;
    const rows = ordered.map((message) => this.#row(message));
    if (live?.text) rows.push(h("li", { class: "message bot" }, h("p", { class: "who" }, "Assistant is writing"), h("div", { class: "bubble", dir: "auto" }, render(live.text, { hosts: ANYWHERE }))));
    arrange(this.list, rows);
    if (near) this.toEnd();
  }

  toEnd() {
    this.node.scrollTop = this.node.scrollHeight;
  }

  #row(message) {
    const mark = `${message.status}|${message.text}|${message.sources?.length ?? 0}`;
    const kept = this.#rows.get(message.id);
    if (kept?.mark === mark) return kept.row;
    const row = this.#draw(message);
    this.#rows.set(message.id, { mark, row });
    return row;
  }

  #draw({ author, name, text, status, sources, attachments, at: time }) {
    const who = author === "customer" ? this.customer : author === "agent" ? name || WHO.agent : WHO[author];
    const bubble = h("div", { class: "bubble", dir: "auto" });
    const cite = (number) => (sources?.[number - 1] ? h("span", { class: "cite" }, String(number)) : null);
    if (author === "bot" || author === "agent") bubble.append(render(text, { hosts: ANYWHERE, cite }));
    else bubble.append(linked(text));
    return h("li", { class: `message ${author}` },
      h("p", { class: "who" }, h("span", { dir: "auto" }, who), " ", at(time), status === "incomplete" ? " · broke off" : ""), bubble,
      ...(attachments ?? []).map((file) => fileButton(this.api, file)), quotes(sources));
  }
}

/** Sources with what they say, each to open. */
export function quotes(sources) {
  if (!sources?.length) return null;
  return h("ul", { class: "sources", "aria-label": "Sources" }, ...sources.map((source, index) => {
    const place = [source.metadata?.title ?? source.title, source.metadata?.heading].filter(Boolean).join(" › ") || source.id;
    return h("li", {}, h("details", {}, h("summary", {}, h("span", { class: "cite" }, String(source.number ?? index + 1)), h("span", { dir: "auto" }, place)),
      h("div", { class: "quote", dir: "auto" }, linked(source.content))));
  }));
}

export function fileButton(api, file) {
  const button = h("button", { type: "button", class: "file", onclick: async () => {
    try {
      await api.download(file);
    } catch (error) {
      button.after(h("p", { class: "notice bad", role: "alert" }, explain(error)));
    }
  } }, icon("clip"), h("span", { dir: "auto" }, file.name));
  return button;
}
