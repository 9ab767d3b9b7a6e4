/* Pieces that every view is made of. */

import { explain } from "./api.js";
import { h } from "./shared/dom.js";
import { linked } from "./shared/links.js";
import { name } from "./words.js";

let last = 0;
const newId = () => `field-${(last += 1)}`;

/** Words about what happened, read out at once where they say that something went wrong. */
export class Notice {
  constructor() {
    this.node = h("div", { class: "notice", hidden: true });
  }

  error(error) {
    this.#show(error instanceof Error ? explain(error) : error, "bad", "alert");
  }

  done(text) {
    this.#show(text, "good", "status");
  }

  clear() {
    this.node.hidden = true;
    this.node.replaceChildren();
  }

  #show(text, tone, role) {
    this.node.className = `notice ${tone}`;
    this.node.setAttribute("role", role);
    this.node.hidden = false;
    this.node.replaceChildren(text);
  }
}

/** A button that does one thing at a time: until `run()` has ended, a click does nothing. */
export function action(label, run, { kind = "", notice, ...options } = {}) {
  const button = h("button", { type: "button", class: `button ${kind}`, ...options }, label);
  button.addEventListener("click", () => busy(button, run, notice));
  return button;
}

/** Run with the button at rest; an error goes to the notice. True where it went well. */
export async function busy(button, run, notice) {
  if (button.getAttribute("aria-disabled") === "true") return false;
  button.setAttribute("aria-disabled", "true");
  notice?.clear();
  try {
    await run();
    return true;
  } catch (error) {
    if (!notice) throw error;
    notice.error(error);
    return false;
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

/** A labelled control, with a hint that is read with it. */
export function field(label, control, hint = "") {
  control.id ||= newId();
  const words = hint ? h("p", { class: "hint", id: `${control.id}-hint` }, hint) : null;
  if (words) control.setAttribute("aria-describedby", words.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, words);
}

export function choice(label, options, value, onchange) {
  const select = h("select", { onchange: () => onchange(select.value) }, ...options.map(([key, text]) => h("option", { value: key }, text)));
  select.value = value;
  return field(label, select);
}

export function check(label, { checked = false, hint = "", onchange } = {}) {
  const box = h("input", { type: "checkbox", checked, onchange: () => onchange?.(box.checked) });
  box.id = newId();
  return { box, node: h("div", { class: "check" }, box, h("label", { for: box.id }, label, hint ? h("span", { class: "hint" }, hint) : null)) };
}

export const badge = (text, tone = "") => h("span", { class: `badge ${tone}` }, text);

export const empty = (title, what) => h("div", { class: "empty" }, h("p", { class: "strong" }, title), what ? h("p", {}, what) : null);

export const loading = (what = "Loading") => h("p", { class: "loading", role: "status" }, `${what} …`);

/** What could not be shown, why, and the way to try it again. */
export function failed(error, again) {
  return h("div", { class: "empty", role: "alert" }, h("p", { class: "strong" }, "This could not be shown."), h("p", {}, explain(error)),
    h("button", { type: "button", class: "button", onclick: again }, "Try again"));
}

/** Names and values side by side; what has no value is left out. */
export function facts(pairs) {
  const kept = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  return h("dl", { class: "facts" }, ...kept.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
}

/** Words as somebody wrote them, line by line, with their links. */
export const said = (text) => h("div", { class: "said", dir: "auto" }, linked(text));

const TONES = { high: "good", medium: "warm", low: "warm", very_low: "bad" };
export const confidence = ({ score, level }) => badge(`${score} · ${name(level)}`, TONES[level] ?? "");
export const severity = (value) => (value ? badge(`${name(value)} severity`, value === "CRITICAL" || value === "HIGH" ? "bad" : "") : null);

/** How an article stands, in badges. */
export function standing({ status, draft_version: draft, published_version: published }) {
  return [badge(name(status), status === "published" ? "good" : status === "withdrawn" ? "bad" : ""), draft && published ? badge("A newer text waits", "warm") : null].filter(Boolean);
}

/** Let a list hold these nodes; those that stand where they should are not touched, so that focus and place stay. */
export function arrange(list, nodes) {
  nodes.forEach((node, index) => list.children[index] === node || list.insertBefore(node, list.children[index] ?? null));
  while (list.children.length > nodes.length) list.lastElementChild.remove();
}

/** A list beside the thing that is chosen from it; on a narrow screen one of the two. */
export class Split {
  #shown = "";

  /** `path` goes before what is chosen in the address: `#/inbox`. */
  constructor(path, ...children) {
    this.path = path;
    this.list = h("div", { class: "list" }, ...children);
    this.place = h("div", { class: "detail", tabIndex: -1 });
    this.node = h("section", { class: "split" }, this.list, this.place);
  }

  /** Show `node`, which stands for `chosen`; without it nothing is chosen. */
  show(node, chosen = "") {
    const before = this.#shown;
    this.#shown = chosen ?? "";
    this.node.classList.toggle("one", Boolean(chosen));
    this.place.replaceChildren(node);
    this.mark();
    if (chosen && !this.list.offsetParent) this.place.focus({ preventScroll: true }); // the link that was followed is out of sight
    else if (before && !chosen) this.#link(before)?.focus();
  }

  mark() {
    for (const link of this.list.querySelectorAll(".rows a")) link.removeAttribute("aria-current");
    if (this.#shown) this.#link(this.#shown)?.setAttribute("aria-current", "true");
  }

  #link(chosen) {
    return [...this.list.querySelectorAll(".rows a")].find((link) => link.hash === `${this.path}/${chosen}`);
  }
}

/** One link or button per item. Nodes are kept, so that a list that is read anew takes no focus and no place. */
export class Rows {
  #kept = new Map();
  #shown = "";

  constructor(label, { keyOf = (item) => item.id, make }) {
    Object.assign(this, { keyOf, make });
    this.node = h("ul", { class: "rows", "aria-label": label });
  }

  show(items, also = "") {
    const rows = items.map((item) => {
      const key = this.keyOf(item);
      const mark = `${JSON.stringify(item)}${also}`;
      const kept = this.#kept.get(key);
      return kept?.mark === mark ? kept : { key, mark, node: h("li", {}, this.make(item)) };
    });
    this.#kept = new Map(rows.map((row) => [row.key, row]));
    const shown = JSON.stringify(rows.map((row) => [row.key, row.mark]));
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused = this.node.contains(document.activeElement) ? document.activeElement.closest("li")?.dataset.key : null;
    for (const row of rows) row.node.dataset.key = row.key;
    arrange(this.node, rows.map((row) => row.node));
    if (focused && !this.node.contains(document.activeElement)) [...this.node.children].find((row) => row.dataset.key === focused)?.querySelector("a, button")?.focus();
  }
}

/**
 * Ask for a few words, or only for a yes, before something is done. The dialog stays open with its words while `run(text)`
 * fails. Resolves with true once it went well, with false when it was put away.
 */
export function ask({ title, text = "", label = "", hint = "", needed = false, button, kind = "primary", kept, keptAs, extra = null, run }) {
  return new Promise((resolve) => {
    const notice = new Notice();
    const words = label ? h("textarea", { rows: "4" }) : null;
    if (words && kept) kept.bind(words, keptAs);
    const submit = h("button", { type: "submit", class: `button ${kind}` }, button);
    const form = h("form", { onsubmit: async (event) => {
      event.preventDefault();
      if (needed && !words.value.trim()) {
        notice.error(`${label}: please write something.`);
        words.focus();
        return;
      }
      if (!(await busy(submit, () => run(words?.value.trim() ?? ""), notice))) return;
      if (keptAs) kept?.set(keptAs, "");
      done = true;
      dialog.close();
    } },
    h("h2", { id: "ask-title" }, title), text ? h("p", {}, text) : null, words ? field(label, words, hint) : null, extra, notice.node,
    h("div", { class: "actions" }, submit, h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Cancel")));
    let done = false;
    const dialog = h("dialog", { "aria-labelledby": "ask-title", class: "ask" }, form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(done);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
