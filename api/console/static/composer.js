/* Where something is written: as a reply or as a note, each with its own text and files, kept until it has arrived. */

import { Notice, busy } from "./parts.js";
import { h, icon } from "./shared/dom.js";

let made = 0;

export class Composer {
  #failed = false;

  /** `kinds`: {id, label, button, keptAs, files, send(text, fileIds)} each; the first is shown first. */
  constructor(desk, kinds, { extra = null } = {}) {
    Object.assign(this, { desk, kinds });
    const group = `composer-${(made += 1)}`;
    this.notice = new Notice();
    this.text = h("textarea", { rows: "3", maxLength: 8000, onkeydown: (event) => this.#key(event), oninput: () => this.#written() });
    this.button = h("button", { type: "submit", class: "button primary" });
    this.file = h("input", { type: "file", multiple: true, hidden: true, tabIndex: -1, "aria-label": "Files", onchange: () => this.#attach([...this.file.files]) });
    this.clip = h("button", { type: "button", class: "button", onclick: () => this.file.click() }, "Attach files");
    this.attached = h("ul", { class: "attached", "aria-label": "Files that go with it" });
    this.why = h("p", { class: "soft why", hidden: true });
    this.tabs = kinds.map((kind) => {
      const box = h("input", { type: "radio", name: group, id: `${group}-${kind.id}`, onchange: () => this.choose(kind.id) });
      return { ...kind, box, open: true, why: "", node: h("span", { class: "tab" }, box, h("label", { for: box.id }, kind.label)) };
    });
    this.node = h("form", { class: "composer", onsubmit: (event) => this.#submit(event) },
      h("div", { class: "tabs", role: "radiogroup", "aria-label": "What to write" }, ...this.tabs.map(({ node }) => node)), this.why, this.text, this.attached, this.notice.node,
      h("div", { class: "actions" }, this.button, this.clip, this.file, extra, h("span", { class: "hint" }, "Ctrl + Enter sends")));
    this.choose(kinds[0].id);
  }

  choose(id) {
    this.chosen = this.tabs.find((tab) => tab.id === id);
    this.chosen.box.checked = true;
    this.text.value = this.desk.kept.get(this.chosen.keptAs);
    this.text.setAttribute("aria-label", this.chosen.label);
    this.node.dataset.kind = id;
    this.#show();
  }

  /** Whether a kind can be sent now, else why not; what is written of it stays to be read and copied. */
  allow(id, open, why = "", button = "") {
    const tab = this.tabs.find((each) => each.id === id);
    Object.assign(tab, { open, why: open ? "" : why, button: button || tab.button });
    this.#show();
  }

  #show() {
    const { open, why, button } = this.chosen;
    this.button.textContent = button;
    this.button.hidden = !open;
    this.why.hidden = open;
    this.why.textContent = why || "";
    this.text.readOnly = !open;
    this.text.hidden = !open && !this.text.value;
    this.clip.hidden = !open || !this.chosen.files;
    this.#showFiles();
  }

  /** Files are sent ahead, one by one; what goes with the words are their ids. */
  async #attach(files) {
    this.file.value = "";
    const { keptAs } = this.chosen;
    await busy(this.clip, async () => {
      for (const file of files) {
        const form = new FormData();
        form.append("file", file, file.name);
        const { id, name } = await this.desk.api.upload("/attachments", form, JSON.stringify([file.name, file.size, file.lastModified]));
        this.#keepFiles(keptAs, [...this.#files(keptAs), { id, name }]);
      }
    }, this.notice);
  }

  #files(keptAs) {
    return JSON.parse(this.desk.kept.get(`${keptAs}:files`) || "[]");
  }

  #keepFiles(keptAs, files) {
    this.desk.kept.set(`${keptAs}:files`, files.length ? JSON.stringify(files) : "");
    this.#showFiles();
  }

  #showFiles() {
    const { keptAs } = this.chosen;
    this.attached.replaceChildren(...this.#files(keptAs).map(({ id, name }) => h("li", {}, h("span", { dir: "auto" }, name),
      h("button", { type: "button", class: "remove", "aria-label": `Remove ${name}`, onclick: () => this.#keepFiles(keptAs, this.#files(keptAs).filter((file) => file.id !== id)) }, icon("close")))));
    this.attached.hidden = !this.attached.children.length;
  }

  #written() {
    this.desk.kept.set(this.chosen.keptAs, this.text.value);
    if (this.#failed) this.desk.api.forget(); // these are other words than those that may have arrived
    this.#failed = false;
  }

  async #submit(event) {
    event.preventDefault();
    const { keptAs, send, open } = this.chosen;
    const text = this.text.value.trim();
    if (!open) return;
    const files = this.#files(keptAs).map(({ id }) => id);
    if (!text) {
      if (files.length) this.notice.error("Write a few words that go with the file.");
      this.text.focus();
      return;
    }
    this.#failed = !(await busy(this.button, () => send(text, files), this.notice));
    if (this.#failed) return;
    this.#keepFiles(keptAs, this.#files(keptAs).filter(({ id }) => !files.includes(id)));
    if (this.desk.kept.get(keptAs).trim() === text) this.desk.kept.set(keptAs, ""); // what was written since stays
    if (this.chosen.keptAs === keptAs) this.text.value = this.desk.kept.get(keptAs);
    this.#show();
    this.text.focus();
  }

  #key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
      event.preventDefault();
      this.node.requestSubmit();
    }
  }
}
