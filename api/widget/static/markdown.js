/* A small, safe part of Markdown: paragraphs, lists, headings, code, bold, italics, citations, and links to hosts that we
   know. Builds nodes and sets text, never HTML; images and raw HTML stay the text that they are. */

import { ANYWHERE, addLink, linked, trimmed } from "./links.js";

const INLINE = /(`+)([^`]+?)\1|\*\*([^*\n]+?)\*\*|\*([^*\s][^*\n]*?)\*|\[(\d{1,2})\]|\[([^\]\n]+)\]\((https?:\/\/[^\s()]+(?:\([^\s()]*\)[^\s()]*)*)\)|(https?:\/\/[^\s<>"'`\]]+)/gi;
const LIST = /^(\s*)([-*+]|\d{1,3}[.)])\s+(.*)$/;

/**
 * @param {string} text
 * @param {{hosts?: Set<string> | typeof ANYWHERE, cite?: (number: number) => Node | null}} options
 * @returns {DocumentFragment}
 */
export function render(text, { hosts = new Set(), cite = () => null } = {}) {
  const out = document.createDocumentFragment();
  const lines = text.split("\n");
  const inline = (parent, words) => addInline(parent, words, hosts, cite);
  for (let i = 0; i < lines.length; ) {
    const line = lines[i];
    if (!line.trim()) {
      i += 1;
    } else if (line.startsWith("```")) {
      const code = [];
      for (i += 1; i < lines.length && !lines[i].startsWith("```"); i += 1) code.push(lines[i]);
      i += 1;
      const pre = element("pre", out);
      pre.tabIndex = 0;
      element("code", pre).textContent = code.join("\n");
    } else if (/^#{1,6}\s/.test(line)) {
      inline(element("h4", out), line.replace(/^#+\s+/, ""));
      i += 1;
    } else if (LIST.test(line)) {
      i = addList(out, lines, i, inline);
    } else {
      const paragraph = element("p", out);
      const words = [];
      while (i < lines.length && lines[i].trim() && !LIST.test(lines[i]) && !/^(```|#{1,6}\s)/.test(lines[i])) words.push(lines[i++]);
      words.forEach((part, at) => {
        if (at) element("br", paragraph);
        inline(paragraph, part);
      });
    }
  }
  return out;
}

function addList(parent, lines, from, inline) {
  const [, indent, mark] = LIST.exec(lines[from]);
  const ordered = /\d/.test(mark);
  const list = element(ordered ? "ol" : "ul", parent);
  if (ordered) list.start = Number.parseInt(mark, 10);
  let i = from;
  let item = null;
  while (i < lines.length) {
    const found = LIST.exec(lines[i]);
    if (!found) {
      if (!item || !/^\s+\S/.test(lines[i])) break;
      element("br", item);
      inline(item, lines[i].trim());
      i += 1;
    } else if (found[1].length > indent.length && item) {
      i = addList(item, lines, i, inline);
    } else if (found[1].length < indent.length || /\d/.test(found[2]) !== ordered) {
      break;
    } else {
      item = element("li", list);
      inline(item, found[3]);
      i += 1;
    }
  }
  return i;
}

function addInline(parent, text, hosts, cite) {
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    const [whole, , code, bold, italic, number, label, target, bare] = found;
    parent.append(text.slice(at, found.index));
    const address = bare && trimmed(bare);
    at = found.index + (address ?? whole).length;
    if (code !== undefined) element("code", parent).append(hosts === ANYWHERE ? linked(code) : code); // answers keep addresses as code
    else if (bold !== undefined) addInline(element("strong", parent), bold, hosts, cite);
    else if (italic !== undefined) addInline(element("em", parent), italic, hosts, cite);
    else if (number !== undefined) parent.append(cite(Number(number)) ?? whole);
    else addLink(parent, address ?? whole, label ?? address, target ?? address, hosts);
  }
  parent.append(text.slice(at));
}

function element(name, parent) {
  const made = document.createElement(name);
  parent.append(made);
  return made;
}
