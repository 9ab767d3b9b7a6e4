/* The history of a ticket: its newest part, read anew again and again, and before it what somebody asked for. */

const PAGE = 100;

export class Story {
  #events = new Map();
  #earlier = null; // the cursor of what comes before

  constructor(api, ticketId) {
    Object.assign(this, { api, path: `/tickets/${ticketId}/events?limit=${PAGE}&order=newest` });
    this.created = null;
    this.oldest = `/tickets/${ticketId}/events?limit=1`;
  }

  /** Whether something stands before what is known. */
  get hasEarlier() {
    return this.#earlier !== null;
  }

  /** Oldest first. The ids are in the order of time. */
  get events() {
    return [...this.#events.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** What is new since the last time is given, nothing at the first. */
  async read() {
    const first = !this.#events.size;
    const page = await this.api.read(this.path);
    const fresh = page.items.filter(({ id }) => !this.#events.has(id));
    const joins = fresh.length < page.items.length || !page.next_cursor;
    if (first || !joins) { // at the beginning, or after more than a page was missed
      this.created ??= (page.next_cursor ? (await this.api.read(this.oldest)).items : page.items).find(({ type }) => type === "created") ?? null;
      this.#events.clear();
      this.#earlier = page.next_cursor;
    }
    this.#add(page.items);
    return first ? [] : fresh.reverse();
  }

  async readEarlier() {
    const page = await this.api.read(`${this.path}&cursor=${this.#earlier}`);
    this.#add(page.items);
    this.#earlier = page.next_cursor;
  }

  #add(items) {
    for (const event of items) this.#events.set(event.id, event);
  }
}
