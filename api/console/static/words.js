/* Numbers, times and the API's names, as people read them. */

import { h } from "./shared/dom.js";

const NAMES = {
  waiting_customer: "Waiting for customer", in_progress: "In progress", very_low: "Very low", kb: "Articles", intent: "Certainty of the matter",
  example: "Approved examples", safety: "Distance from corrections", sla_breach: "Targets missed", sync_failing: "Sync with WHMCS fails",
  stale_index: "Articles not indexed", model_errors: "Errors of the model", escalation_spike: "More handoffs than usual",
  webhook_off: "A webhook is switched off", LOW: "Low", MEDIUM: "Medium", HIGH: "High", CRITICAL: "Critical", whmcs: "WHMCS",
  ssl: "SSL", dns: "DNS",
  human_requested: "Asked for a person", guardrail: "A rule of the guard", critical_severity: "Critical matter", specialist_tier: "For a specialist",
  repeated_failure: "No answer several times", sensitive_unanswered: "Sensitive, and no answer", very_low_confidence: "Very low confidence",
  agent_decision: "The assistant asked for a person", interrupted: "An answer broke off", requested: "Waiting", released: "Given back", no_answer: "No answer found", bot: "Assistant", agent: "Support agent", admin: "Admin",
};

/** `waiting_customer` as "Waiting for customer". */
export function name(word) {
  if (word === null || word === undefined || word === "") return "";
  if (Object.hasOwn(NAMES, word)) return NAMES[word];
  const text = String(word).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
export const number = (value) => (value === null || value === undefined ? "–" : Math.abs(value) < 10 ? fine.format(value) : whole.format(value));
export const percent = (value) => (value === null || value === undefined ? "–" : `${whole.format(value * 100)} %`);
export const plural = (count, one, many = `${one}s`) => `${whole.format(count)} ${count === 1 ? one : many}`;

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return `${fine.format(seconds < 10 ? seconds : Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return plural(Math.round(seconds / 86_400), "day");
}

/** How long ago, or how far ahead. */
function distance(iso) {
  const seconds = (Date.now() - new Date(iso)) / 1000;
  if (Math.abs(seconds) < 45) return "just now";
  const far = Math.abs(seconds) < 90 ? "1 min" : duration(Math.abs(seconds));
  return seconds > 0 ? `${far} ago` : `in ${far}`;
}

export const clock = (iso) => new Date(iso).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
export const date = (iso) => new Date(iso).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
const exact = (iso) => new Date(iso).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** A time that stays true while the page is open. */
export function when(iso) {
  return iso ? h("time", { datetime: iso, title: exact(iso), class: "when" }, distance(iso)) : "";
}

export function at(iso) {
  return h("time", { datetime: iso, title: exact(iso) }, new Date(iso).toDateString() === new Date().toDateString() ? clock(iso) : exact(iso));
}

setInterval(() => {
  for (const node of document.querySelectorAll("time.when")) {
    const text = distance(node.dateTime);
    if (node.textContent !== text) node.textContent = text;
  }
}, 15_000);
