/* The page: launcher, header, messages, composer. Shows what it is told and says what was done; decides nothing. */

import { h, icon } from "./dom.js";
import { ANYWHERE } from "./links.js";
import { render } from "./markdown.js";

export class View {
  #rows = new Map(); // message id -> row
  #liveRow = null;
  #spoken = "";
  #followed = null; // the turn whose answer the reader follows

  constructor(words, actions, { framed, hosts, title }) {
    Object.assign(this, { words, actions, framed, hosts: new Set(hosts), title });
    this.judged = new Map();
    this.#build();
  }

  #build() {
    const { t } = this;
    this.badge = h("span", { class: "badge", hidden: true });
    this.launcher = h("button", { class: "launcher", type: "button", "aria-label": t("open"), onclick: () => this.actions.toggle() },
      icon("chat"), this.badge);
    this.back = h("button", { class: "plain", type: "button", "aria-label": t("back"), hidden: true, onclick: () => this.actions.back() }, icon("back"));
    this.heading = h("h2", { class: "title" }, this.title);
    this.status = h("p", { class: "status" });
    this.menuButton = h("button", { class: "plain", type: "button", "aria-label": t("menu"), "aria-haspopup": "menu", "aria-expanded": "false",
      onclick: () => this.toggleMenu() }, icon("menu"));
    this.menu = h("div", { class: "menu", role: "menu", hidden: true, onkeydown: (event) => this.#menuKey(event) });
    this.close = h("button", { class: "plain", type: "button", "aria-label": t("close"), hidden: !this.framed, onclick: () => this.actions.close() }, icon("close"));
    this.banner = h("div", { class: "banner", role: "status", hidden: true });
    this.log = h("ol", { class: "log" });
    this.typing = h("p", { class: "typing", hidden: true }, h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")), h("span"));
    this.chips = h("div", { class: "chips" });
    this.input = h("textarea", { rows: "1", maxLength: 8000, "aria-label": t("placeholder"), placeholder: t("placeholder"),
      onkeydown: (event) => this.#key(event), oninput: () => this.#grow(), onpaste: (event) => this.#pasted(event) });
    this.sendButton = h("button", { class: "send", type: "submit", "aria-label": t("send") }, icon("send"));
    this.file = h("input", { type: "file", multiple: true, hidden: true, tabIndex: -1, "aria-label": t("attach"), onchange: () => this.#chosen(this.file.files) });
    this.clip = h("button", { class: "plain", type: "button", "aria-label": t("attach"), onclick: () => this.file.click() }, icon("clip"));
    this.attached = h("ul", { class: "attached" });
    this.composer = h("form", { class: "composer", onsubmit: (event) => this.#submit(event) }, this.attached,
      h("div", { class: "line" }, this.clip, this.file, this.input, this.sendButton));
    this.chat = h("section", { class: "chat", role: "log", "aria-live": "off", "aria-label": t("conversation"), tabIndex: 0 }, this.log, this.typing, this.chips);
    this.sheet = h("section", { class: "sheet", hidden: true, tabIndex: -1 });
    this.speech = h("div", { class: "unseen", "aria-live": "polite", "aria-atomic": "false" });
    this.panel = h("div", { class: "panel", role: this.framed ? "dialog" : null, "aria-label": this.title, hidden: true, onkeydown: (event) => this.#panelKey(event),
      ondragover: (event) => event.preventDefault(), ondrop: (event) => this.#dropped(event) },
      h("header", {}, this.back, h("div", { class: "who" }, this.heading, this.status), this.menuButton, this.close),
      this.menu, this.banner, this.chat, this.sheet, this.composer);
    this.root = h("main", {}, h("h1", { class: "unseen" }, this.title), this.launcher, this.panel, this.speech);
    document.body.append(this.root);
    document.addEventListener("click", (event) => {
      if (!this.menu.hidden && !this.menu.contains(event.target) && !this.menuButton.contains(event.target)) this.toggleMenu(false);
    });
  }

  t = (name, values) => this.words.t(name, values);

  /** Build anew in another language, keeping what is shown, what is typed, and where the reader is. */
  translate(open) {
    const { value, selectionStart, selectionEnd } = this.input;
    const attached = [...this.attached.children];
    const reading = this.root.contains(document.activeElement);
    this.root.remove();
    this.#rows.clear();
    this.#liveRow = null;
    this.#build();
    this.input.value = value;
    this.input.setSelectionRange(selectionStart, selectionEnd);
    this.attached.append(...attached);
    this.setOpen(open, { focus: reading });
    this.#grow();
  }

  setOpen(open, { focus = true } = {}) {
    this.panel.hidden = !open;
    this.launcher.hidden = open || !this.framed;
    if (open) {
      this.setUnread(0);
      this.scroll();
      if (focus) this.input.focus({ preventScroll: true });
    } else if (!focus) return;
    else if (document.activeElement === document.body || this.panel.contains(document.activeElement)) this.launcher.focus();
  }

  setUnread(count) {
    this.badge.hidden = !count;
    this.badge.textContent = count > 9 ? "9+" : String(count);
    this.launcher.setAttribute("aria-label", count ? this.t("open_unread", { count }) : this.t("open"));
  }

  setBanner(text) {
    this.banner.hidden = !text;
    this.banner.textContent = text || "";
  }

  setMenu(items) {
    this.menu.replaceChildren(...items.map(({ label, run, checked }) =>
      h("button", { type: "button", role: checked === undefined ? "menuitem" : "menuitemcheckbox", "aria-checked": checked === undefined ? null : String(checked), tabIndex: -1,
        onclick: () => {
          this.toggleMenu(false);
          run();
        } }, label)));
  }

  toggleMenu(wanted = this.menu.hidden) {
    this.menu.hidden = !wanted;
    this.menuButton.setAttribute("aria-expanded", String(wanted));
    if (wanted) {
      this.actions.menu();
      this.menu.firstElementChild?.focus();
    } else if (document.activeElement === document.body || this.menu.contains(document.activeElement)) this.menuButton.focus();
  }

  /** Everything of a conversation: stored messages, what waits to be sent, the answer in the making, and who is there. */
  show(conversation, pending, greeting) {
    const near = this.#isNearEnd();
    this.#followed = near ? (conversation.live?.turnId ?? null) : null;
    const messages = conversation.ordered;
    const wanted = [];
    if (!messages.length && greeting) wanted.push(this.#row({ id: "greeting", author: "bot", text: greeting, status: "complete", sources: [], attachments: [] }));
    for (const message of messages) wanted.push(this.#row(message));
    if (conversation.live?.text) wanted.push(this.#live(conversation.live));
    else this.#liveRow = null;
    for (const item of pending) wanted.push(this.#row({ id: item.key, author: "customer", text: item.text, status: item.failed ? "failed" : "sending", sources: [], attachments: item.attachments ?? [], error: item.failed }));
    this.log.replaceChildren(...wanted);
    const words = this.#doing(conversation);
    this.typing.hidden = !words;
    this.typing.lastElementChild.textContent = words;
    this.status.textContent = this.#who(conversation);
    if (near) this.scroll();
  }

  setChips(chips) {
    this.chips.replaceChildren(...chips.map(({ label, run }) => h("button", { type: "button", class: "chip", onclick: run }, label)));
  }

  setAttached(files) {
    this.attached.replaceChildren(...files.map(({ name, progress, error, remove }) =>
      h("li", { class: error ? "bad" : "" }, h("span", {}, error ? `${name}: ${error}` : name),
        progress !== undefined && progress < 1 && !error ? h("progress", { value: progress, max: 1, "aria-label": name }) : null,
        h("button", { type: "button", "aria-label": this.t("remove_file", { name }), onclick: remove }, icon("close")))));
  }

  /** A page over the chat: past conversations, tickets, one ticket. */
  openSheet(title, nodes) {
    this.heading.textContent = title;
    this.sheet.replaceChildren(...nodes);
    this.sheet.hidden = false;
    this.chat.hidden = true;
    this.composer.hidden = true;
    this.back.hidden = false;
    this.sheet.focus({ preventScroll: true });
  }

  closeSheet() {
    this.heading.textContent = this.title;
    this.sheet.hidden = true;
    this.chat.hidden = false;
    this.composer.hidden = false;
    this.back.hidden = true;
    this.input.focus({ preventScroll: true });
    this.scroll();
  }

  /** Read out finished sentences of what was not yet read: tokens would make no sense to a listener. */
  speak(text, { whole = false } = {}) {
    const plain = text.replace(/\s*\[\d{1,2}\]/g, "").replace(/[*`#]+/g, "");
    if (!plain.startsWith(this.#spoken)) this.#spoken = "";
    const rest = plain.slice(this.#spoken.length);
    const end = whole ? rest.length : rest.search(/[.!?…:]\s+[^.!?…:]*$/) + 1;
    if (end <= 0) return;
    this.#spoken = whole ? "" : plain.slice(0, this.#spoken.length + end);
    const words = rest.slice(0, end).trim();
    if (words) this.speech.append(h("p", {}, words));
    while (this.speech.childElementCount > 20) this.speech.firstElementChild.remove();
  }

  /** Follow what comes, but not past the beginning of a long answer: it is read from there. */
  scroll() {
    const go = () => {
      const last = this.log.lastElementChild;
      const bottom = this.chat.scrollHeight - this.chat.clientHeight;
      const top = last ? last.offsetTop - this.chat.offsetTop - 12 : bottom;
      this.chat.scrollTop = this.chat.scrollTop > top ? Math.min(bottom, this.chat.scrollTop) : Math.min(bottom, top);
    };
    go();
    requestAnimationFrame(go);
  }

  #isNearEnd() {
    if (this.#followed && this.#followed === this.log.lastElementChild?.dataset.turn) return true;
    return this.chat.scrollHeight - this.chat.scrollTop - this.chat.clientHeight < 120;
  }

  #row(message) {
    const mark = `${message.status}|${message.text}|${this.judged.get(message.id) ?? ""}|${message.error ?? ""}`;
    const kept = this.#rows.get(message.id);
    if (kept?.mark === mark) return kept.row;
    const row = this.#draw(message);
    this.#rows.set(message.id, { mark, row });
    return row;
  }

  #live(live) {
    if (!this.#liveRow || this.#liveRow.dataset.turn !== live.turnId) {
      this.#liveRow = h("li", { class: "message bot live", "data-turn": live.turnId }, h("div", { class: "bubble" }));
    }
    this.#liveRow.firstElementChild.replaceChildren(render(live.text, { hosts: this.hosts, cite: (number) => this.#mark(number) }));
    return this.#liveRow;
  }

  #draw(message) {
    const row = h("li", { class: `message ${message.author} ${message.status}` });
    const bubble = h("div", { class: "bubble", dir: "auto" });
    if (message.author === "agent") row.append(h("p", { class: "name" }, message.name || this.t("colleague")));
    row.append(h("span", { class: "unseen" }, `${this.t(`author_${message.author}`)}: `));
    if (message.author === "bot") {
      const cards = this.#sources(message.sources);
      // A number that names no source of this answer means nothing to its reader.
      const cite = (number) => (message.sources[number - 1] ? this.#mark(number, () => this.#openSource(cards, number)) : document.createTextNode(""));
      const known = message.sources.map((source) => hostOf(source.metadata?.url)).filter(Boolean);
      bubble.append(render(message.text, { hosts: new Set([...this.hosts, ...known]), cite }));
      row.append(bubble);
      if (cards) row.append(cards);
    } else if (message.author === "agent") {
      bubble.append(render(message.text, { hosts: ANYWHERE }));
      row.append(bubble);
    } else {
      bubble.append(...message.text.split("\n").flatMap((line, at) => (at ? [h("br"), line] : [line])));
      row.append(bubble);
    }
    for (const file of message.attachments ?? []) row.append(this.#file(file));
    row.append(this.#foot(message));
    return row;
  }

  #foot(message) {
    const foot = h("div", { class: "foot" });
    if (message.status === "incomplete") foot.append(h("span", {}, this.t("incomplete")));
    if (message.status === "sending") foot.append(h("span", {}, this.t("sending")));
    if (message.status === "failed") {
      foot.append(h("span", { class: "bad" }, `${this.t("not_sent")} ${message.error}`),
        h("button", { type: "button", onclick: () => this.actions.discard(message.id) }, this.t("discard")));
    }
    if (message.at && message.status !== "sending") foot.append(h("time", { datetime: message.at }, this.words.time(message.at)));
    if (message.author === "bot" && message.turnId && message.status === "complete") {
      const given = this.judged.get(message.id);
      for (const [name, value] of [["up", 1], ["down", -1]]) {
        foot.append(h("button", { type: "button", class: "thumb", "aria-pressed": String(given === value), "aria-label": this.t(name === "up" ? "helpful" : "not_helpful"),
          onclick: () => this.actions.judge(message.id, value) }, icon(name)));
      }
    }
    return foot;
  }

  #mark(number, run) {
    return run ? h("button", { type: "button", class: "cite", "aria-label": this.t("source_n", { number }), onclick: run }, String(number)) : h("span", { class: "cite" }, String(number));
  }

  #sources(sources) {
    if (!sources?.length) return null;
    return h("ul", { class: "sources", "aria-label": this.t("sources") }, ...sources.map((source, at) => {
      const place = [source.metadata?.title, source.metadata?.heading].filter(Boolean).join(" › ");
      return h("li", {}, h("details", {}, h("summary", {}, h("span", { class: "cite" }, String(at + 1)), place || source.id), h("div", { class: "quote", dir: "auto" }, source.content)));
    }));
  }

  #openSource(cards, number) {
    const details = cards?.querySelectorAll("details")[number - 1];
    if (!details) return;
    details.open = true;
    details.querySelector("summary").focus();
    details.scrollIntoView({ block: "nearest" });
  }

  #file(file) {
    return h("button", { type: "button", class: "file", onclick: () => this.actions.download(file) }, icon("clip"), file.name);
  }

  #doing({ live, busy, step, handoff }) {
    if (handoff?.status === "claimed" || !busy || live?.text) return "";
    return this.t(step === "retrieve" ? "searching" : "thinking");
  }

  #who({ handoff, closed }) {
    if (closed) return this.t("ended");
    if (handoff?.status === "claimed") return this.t("with_person", { name: handoff.name || this.t("colleague") });
    if (handoff?.status === "requested") return this.t("waiting_person");
    return this.t("with_bot");
  }

  #submit(event) {
    event.preventDefault();
    const text = this.input.value.trim();
    if (!text || !this.actions.send(text)) return;
    this.input.value = "";
    this.#grow();
    this.scroll();
    this.input.focus();
  }

  #key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.composer.requestSubmit();
    }
  }

  #grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 140)}px`;
  }

  #pasted(event) {
    if (event.clipboardData?.files.length) {
      event.preventDefault();
      this.#chosen(event.clipboardData.files);
    }
  }

  #dropped(event) {
    event.preventDefault();
    if (event.dataTransfer?.files.length) this.#chosen(event.dataTransfer.files);
  }

  #chosen(files) {
    this.actions.attach([...files]);
    this.file.value = "";
    this.input.focus();
  }

  #panelKey(event) {
    if (event.key === "Escape" && !event.defaultPrevented) {
      if (!this.menu.hidden) this.toggleMenu(false);
      else if (!this.sheet.hidden) this.actions.back();
      else if (this.framed) this.actions.close();
    }
    if (event.key === "Tab" && this.framed) this.#keepInside(event);
  }

  /** The open dialog holds the focus: past its last control comes its first. */
  #keepInside(event) {
    const stops = [...this.panel.querySelectorAll("button, textarea, summary, a[href], [tabindex='0'], input:not([type=file])")].filter((node) => node.offsetParent !== null && node.tabIndex >= 0);
    const edge = event.shiftKey ? stops[0] : stops.at(-1);
    if (document.activeElement === edge) {
      event.preventDefault();
      (event.shiftKey ? stops.at(-1) : stops[0]).focus();
    }
  }

  #menuKey(event) {
    const items = [...this.menu.children];
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      items.at(to % items.length).focus();
    } else if (event.key === "Tab") this.toggleMenu(false);
  }
}

function hostOf(url) {
  try {
    return new URL(url).host;
  } catch {
    return null;
  }
}
