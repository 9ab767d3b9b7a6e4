/* What becomes of a ticket: handed to a colleague, taken up by those who know more, or joined with another one. */

import { ask, choice, empty } from "./parts.js";
import { h } from "./shared/dom.js";
import { name } from "./words.js";

/** `change(wish)` is the ticket's own way to be changed. */
export async function handTo(desk, ticket, change) {
  const { items } = await desk.api.read("/handoffs/colleagues");
  const others = items.filter(({ id }) => id !== ticket.assignee_id);
  let chosen = others[0]?.id ?? "";
  const label = (each) => `${each.name}${each.is_available ? "" : ", off duty"} · ${each.tickets} open`;
  return ask({
    title: "Hand this ticket to a colleague", button: "Hand it over",
    extra: others.length ? choice("Colleague", others.map((each) => [each.id, label(each)]), chosen, (id) => (chosen = id)) : empty("There is nobody else."),
    run: async () => {
      if (!chosen) throw new Error("There is nobody to hand it to.");
      await change({ assignee_id: chosen });
    },
  });
}

export function escalate(desk, ticket, done) {
  return ask({
    title: "Escalate this ticket", text: "It goes up by one tier, with your words for those who take it.", label: "Reason", needed: true, button: "Escalate",
    kept: desk.kept, keptAs: `ticket-escalate:${ticket.id}`,
    run: async (reason) => done(await desk.api.post(`/tickets/${ticket.id}/escalate`, { reason, version: ticket.version })),
  });
}

/** Into another ticket of the same customer, which stays. */
export async function merge(desk, ticket, done) {
  const { items } = await desk.api.read(`/tickets?customer_id=${ticket.customer_id}&limit=100`);
  const others = items.filter((each) => each.id !== ticket.id && !each.merged_into && each.status !== "closed");
  let chosen = others[0]?.id ?? "";
  return ask({
    title: `Merge #${ticket.number} into another ticket`, button: "Merge", kind: "danger",
    text: "This one is closed; its words stay with it, and the customer is answered in the other.",
    extra: others.length
      ? choice("Ticket of the same customer", others.map((each) => [each.id, `#${each.number} ${each.subject} (${name(each.status)})`]), chosen, (id) => (chosen = id))
      : h("p", { class: "soft" }, "This customer has no other open ticket."),
    run: async () => {
      if (!chosen) throw new Error("There is no ticket to merge it into.");
      done(await desk.api.post(`/tickets/${ticket.id}/merge`, { into: chosen, version: ticket.version }));
    },
  });
}
