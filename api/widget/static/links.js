/* Links in words that anybody may have written. Only http and https become one, the address is shown as it is, and what
   could deceive a reader (a name before the host, letters that are not seen) stays text. */

/** Instead of a set of hosts, for words whose reader decides: a link may lead to any host, over http too. */
export const ANYWHERE = Symbol("anywhere");

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`\]]+/gi;
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;
const LONGEST = 2000;
const HOST = /^(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d+)?$/;

/** Plain words with their addresses as links, as a fragment. */
export function linked(text) {
  const out = document.createDocumentFragment();
  const words = String(text ?? "");
  let at = 0;
  for (const found of words.matchAll(ADDRESS)) {
    const address = trimmed(found[0]);
    out.append(words.slice(at, found.index));
    addLink(out, address, address, address, ANYWHERE);
    at = found.index + address.length;
  }
  out.append(words.slice(at));
  return out;
}

/** A link where it may lead there, with the host beside a label that is anything else; otherwise `whole`, as text. */
export function addLink(parent, whole, label, target, hosts) {
  const url = safe(target);
  if (!url || !(hosts === ANYWHERE || (url.protocol === "https:" && hosts.has(url.host)))) {
    parent.append(whole);
    return;
  }
  const link = document.createElement("a");
  link.href = url.href;
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  link.title = url.href;
  if (label === target) link.dir = "ltr"; // an address is read from its beginning, whatever the words around it do
  if (tells(label, url)) link.append(label);
  else link.append(part("bdi", label), " (", part("bdi", url.host, "ltr"), ")");
  parent.append(link);
}

/** Without what ends the sentence, or closes a bracket that was opened before the address. */
export function trimmed(address) {
  let text = address;
  while (text.length <= LONGEST) {
    const before = text;
    text = text.replace(/[.,;:!?*_~…。、，！？]+$/u, "");
    if (text.endsWith(")") && text.split(")").length > text.split("(").length) text = text.slice(0, -1);
    if (text === before) break;
  }
  return text;
}

function part(name, text, dir = "auto") {
  const made = document.createElement(name);
  made.dir = dir;
  made.append(text);
  return made;
}

function safe(target) {
  if (target.length > LONGEST || UNSEEN.test(target)) return null;
  try {
    const url = new URL(target);
    const known = (url.protocol === "https:" || url.protocol === "http:") && !url.username && !url.password;
    return known && HOST.test(url.host) ? url : null;
  } catch {
    return null;
  }
}

/** Whether a reader of the label knows the host: it is the host, or an address there. */
function tells(label, url) {
  if (label === url.host) return true;
  return /^https?:\/\//i.test(label) && label.toLowerCase().startsWith(`${url.protocol}//${url.host}`) && safe(label)?.host === url.host;
}
