/* Files that become articles: sent together, read by a job, and told one by one what became of each. */

import { Notice, Rows, badge, busy, check, empty, failed, field, loading } from "./parts.js";
import { Poll } from "./poll.js";
import { h } from "./shared/dom.js";
import { name, plural, when } from "./words.js";

const EVERY_MS = 2500;
const SHOWN = 200;
const TONES = { added: "good", changed: "good", failed: "bad" };

export class UploadView {
  #ended = false;

  constructor(desk, onChange) {
    Object.assign(this, { desk, onChange });
    this.notice = new Notice();
    this.files = h("input", { type: "file", multiple: true, accept: ".md,.markdown,.html,.htm,.docx,.pdf,.txt" });
    this.collection = h("input", { type: "text", maxLength: 60, value: "articles" });
    this.publish = check("Publish at once", { checked: true, hint: "Else each waits as a draft." });
    this.button = h("button", { type: "submit", class: "button primary" }, "Upload");
    this.past = new Rows("Uploads", { make: (each) => this.#row(each) });
    this.state = h("div", {}, loading());
    this.outcome = h("div", {});
    this.node = h("section", {}, h("header", { class: "head" }, h("a", { class: "back", href: "#/knowledge" }, "‹ Knowledge"), h("h2", {}, "Upload files")),
      h("div", { class: "sheet" },
        h("form", { class: "card", onsubmit: (event) => this.#submit(event) }, field("Files", this.files, "Markdown, HTML, Word (docx) or PDF. A file sent again under its name becomes a new version."),
          field("Collection", this.collection, "Small letters, digits and hyphens."), this.publish.node, this.notice.node, h("div", { class: "actions" }, this.button)),
        this.outcome, h("section", { class: "card" }, h("h2", {}, "Jobs on the knowledge base"), this.state, this.past.node)));
    this.poll = new Poll(() => this.#look(), EVERY_MS, (error) => error && !this.jobs && this.state.replaceChildren(failed(error, () => this.poll.now())));
    this.poll.start();
  }

  end() {
    this.#ended = true;
    this.poll.stop();
  }

  async #submit(event) {
    event.preventDefault();
    await busy(this.button, async () => {
      const files = [...this.files.files];
      if (!files.length) throw new Error("Choose at least one file.");
      const form = new FormData();
      for (const file of files) form.append("files", file, file.name);
      form.append("collection", this.collection.value.trim());
      form.append("publish", String(this.publish.box.checked));
      const what = JSON.stringify([files.map((file) => [file.name, file.size, file.lastModified]), this.collection.value, this.publish.box.checked]);
      this.job = (await this.desk.api.upload("/kb/articles/upload", form, what)).id;
      this.files.value = "";
      this.poll.start();
      await this.poll.now();
    }, this.notice);
  }

  async #look() {
    const { items } = await this.desk.api.read("/kb/imports?limit=10");
    if (this.#ended) return;
    this.jobs = items;
    this.state.replaceChildren(...(items.length ? [] : [empty("Nothing was uploaded yet.", "Choose files above.")]));
    this.past.show(items);
    const mine = items.find((each) => each.id === this.job);
    if (mine) await this.#tell(mine);
    if (!items.some(({ status }) => status === "queued" || status === "running")) this.poll.stop();
  }

  /** What became of each file of what was just sent. */
  async #tell(job) {
    const over = job.status === "done" || job.status === "failed";
    if (!over) {
      this.outcome.replaceChildren(loading(`Reading ${job.done} of ${plural(job.total, "file")}`));
      return;
    }
    if (this.told === job.id) return;
    const files = (await this.desk.api.readAll(`/kb/imports/${job.id}/files`, SHOWN));
    this.told = job.id;
    this.outcome.replaceChildren(h("section", { class: "card" }, h("h2", {}, job.status === "done" ? "What became of the files" : `It failed: ${job.error}`),
      h("ul", { class: "past" }, ...files.map((file) => h("li", {}, h("p", { class: "title" }, badge(name(file.outcome), TONES[file.outcome] ?? ""),
        file.article_id ? h("a", { href: `#/knowledge/${file.article_id}`, dir: "auto" }, file.name) : h("span", { dir: "auto" }, file.name)), file.detail ? h("p", { class: "soft" }, file.detail) : null)))));
    this.desk.shell.say(`${plural(job.total, "file")} read, ${job.failed} failed.`);
    this.onChange();
  }

  #row(job) {
    return h("p", { class: "title job" }, badge(name(job.status), job.status === "failed" ? "bad" : job.status === "done" ? "good" : "warm"), h("span", {}, `${name(job.kind)}${job.collection ? `: ${job.collection}` : ""}`),
      h("span", { class: "soft" }, `${job.done} of ${job.total}${job.failed ? `, ${job.failed} failed` : ""}, `, when(job.created_at)));
  }
}
