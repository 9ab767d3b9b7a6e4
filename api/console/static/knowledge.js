/* The knowledge base: articles, what is missing among them, and files that become articles. */

import { ArticleView } from "./article.js";
import { ArticleEditor } from "./editor.js";
import { GapView } from "./gap.js";
import { Notice, Rows, Split, action, badge, choice, empty, failed, field, loading, standing } from "./parts.js";
import { h } from "./shared/dom.js";
import { UploadView } from "./upload.js";
import { plural, when } from "./words.js";

const STATES = [["", "Any status"], ["published", "Published"], ["draft", "Never published"], ["withdrawn", "Withdrawn"]];

export class Knowledge {
  #open = null;
  #place = "";
  #turn = 0;
  #asked = { list: "articles", owner: "all", state: "", q: "", gaps: "open", least: "3" };

  constructor(desk) {
    this.desk = desk;
    const { isAdmin } = desk;
    this.articles = new Rows("Articles", { make: (article) => this.#articleRow(article) });
    this.gaps = new Rows("Gaps", { make: (gap) => this.#gapRow(gap) });
    this.state = h("div", {});
    this.notice = new Notice();
    this.more = action("Show more", () => this.#read(this.next), { notice: this.notice, hidden: true });
    this.search = h("input", { type: "search", placeholder: "In titles and texts", maxLength: 200, onchange: () => this.#ask({ q: this.search.value.trim() }) });
    this.ofArticles = h("div", { class: "filters" }, choice("Whose", [["all", "Anybody's"], ["tenant", "Ours"], ["global", "The library's"]], "all", (owner) => this.#ask({ owner })),
      choice("Status", STATES, "", (state) => this.#ask({ state })), h("div", { class: "full" }, field("Search", this.search)));
    this.ofGaps = h("div", { class: "filters", hidden: true }, choice("Status", [["open", "Open"], ["resolved", "Answered"], ["dismissed", "Set aside"]], "open", (gaps) => this.#ask({ gaps })),
      choice("Asked at least", [["1", "once"], ["3", "3 times"], ["10", "10 times"]], "3", (least) => this.#ask({ least })));
    this.tabs = [["articles", "Articles"], ["gaps", "What is missing"]].map(([id, label]) => {
      const box = h("input", { type: "radio", name: "knowledge-list", id: `knowledge-${id}`, checked: id === "articles", onchange: () => this.#ask({ list: id }) });
      return h("span", { class: "tab" }, box, h("label", { for: box.id }, label));
    });
    const work = isAdmin ? h("div", { class: "actions" }, h("a", { class: "button", href: "#/knowledge/upload" }, "Upload files"), h("a", { class: "button", href: "#/knowledge/new" }, "Write an article")) : null;
    this.split = new Split("#/knowledge", h("h2", { class: "big" }, "Knowledge"), work, h("div", { class: "tabs", role: "radiogroup", "aria-label": "What to list" }, ...this.tabs), this.ofArticles, this.ofGaps, this.state,
      this.articles.node, this.gaps.node, h("div", { class: "actions below" }, this.more), this.notice.node);
    this.node = this.split.node;
    this.#read();
  }

  show(rest) {
    const place = rest.join("/");
    if (this.#open && place === this.#place) return;
    this.#open?.end?.();
    this.#place = place;
    this.#open = this.#made(rest);
    this.split.show(this.#open.node, place);
  }

  end() {
    this.#open?.end?.();
  }

  #made([first, second]) {
    const changed = () => this.#read();
    const { isAdmin } = this.desk;
    if (first === "upload" && isAdmin) return new UploadView(this.desk, changed);
    if (first === "new" && isAdmin) return new ArticleEditor(this.desk, null, { onSaved: (article) => {
      changed();
      location.hash = `#/knowledge/${article.id}`;
    } });
    if (first === "gap" && second) return new GapView(this.desk, second, changed);
    if (first) return new ArticleView(this.desk, first, changed);
    return { node: empty("No article is open.", isAdmin ? "Choose one from the list, write one, or upload files." : "Choose one from the list.") };
  }

  #ask(change) {
    Object.assign(this.#asked, change);
    this.ofArticles.hidden = this.#asked.list !== "articles";
    this.ofGaps.hidden = this.#asked.list !== "gaps";
    this.found = null;
    this.#read();
  }

  async #read(cursor = null) {
    const turn = (this.#turn += 1);
    const { list, owner, state, q, gaps, least } = this.#asked;
    const wanted = new URLSearchParams(list === "articles" ? { limit: "50", owner, q } : { limit: "50", status: gaps, min_size: least });
    if (list === "articles" && state) wanted.set("status", state);
    if (cursor) wanted.set("cursor", cursor);
    if (!this.found) {
      this.state.replaceChildren(loading());
      this.articles.node.hidden = true;
      this.gaps.node.hidden = true;
    }
    try {
      const page = await this.desk.api.read(`/kb/${list}?${wanted}`);
      if (turn !== this.#turn) return;
      this.found = cursor ? [...this.found, ...page.items] : page.items;
      this.next = page.next_cursor;
      this.#show();
    } catch (error) {
      if (turn !== this.#turn) return;
      if (cursor) throw error;
      this.state.replaceChildren(failed(error, () => this.#read()));
    }
  }

  #show() {
    const { list, q, state, owner } = this.#asked;
    const rows = this[list];
    const nothing = list === "gaps" ? empty("Nothing is missing here.", "Questions that the assistant could not answer gather here by what they are about.")
      : q || state || owner !== "all" ? empty("No article fits.", "Change the filter or the words.")
        : empty("There is no article yet.", this.desk.isAdmin ? "Upload files, or write the first one." : "An admin can upload files or write the first one.");
    this.state.replaceChildren(...(this.found.length ? [] : [nothing]));
    rows.node.hidden = !this.found.length;
    rows.show(this.found);
    this.more.hidden = !this.next;
    this.split.mark();
  }

  #articleRow(article) {
    return h("a", { href: `#/knowledge/${article.id}` }, h("span", { class: "line" }, h("span", { class: "strong", dir: "auto" }, article.title), when(article.updated_at)),
      h("span", { class: "badges" }, ...standing(article), badge(article.owner === "global" ? `Library: ${article.collection}` : article.collection)));
  }

  #gapRow(gap) {
    return h("a", { href: `#/knowledge/gap/${gap.id}` }, h("span", { class: "line" }, h("span", { class: "strong", dir: "auto" }, gap.title), when(gap.last_seen)),
      h("span", { class: "badges" }, badge(plural(gap.questions, "question")), badge(plural(gap.sessions, "conversation")), gap.handed_over ? badge(`${gap.handed_over} to a person`, "warm") : null));
  }
}
