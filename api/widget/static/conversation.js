/* What a conversation looks like, put together from its history and its events. Knows no network and no page. */

export class Conversation extends EventTarget {
  constructor() {
    super();
    this.clear();
  }

  clear() {
    this.messages = new Map(); // id -> {id, n, author, text, status, sources, turnId, at, name, attachments}
    this.live = null; // the bot's answer in the making: {turnId, text, sources}
    this.busy = false; // a turn runs or waits
    this.step = null;
    this.handoff = null; // {status: requested | claimed, name}
    this.closed = false;
    this.#changed("all");
  }

  /** The stored messages, oldest first; what is there already is kept. */
  load(history, session) {
    for (const found of history) {
      this.#keep({
        id: found.id, n: found.n, author: found.author, text: found.content, status: found.status, sources: found.sources,
        turnId: found.turn_id, at: found.created_at, name: found.name, attachments: found.attachments ?? [],
      });
    }
    this.closed = session.status === "closed";
    if (session.mode === "human") this.handoff = { status: "claimed", name: this.handoff?.name ?? this.#lastName() };
    this.#changed("all");
  }

  get ordered() {
    return [...this.messages.values()].sort((a, b) => a.n - b.n);
  }

  apply({ id, type, data }) {
    const n = id ? Number.parseInt(id, 10) : 0;
    switch (type) {
      case "message.created":
        this.#keep({
          id: data.message_id, n, author: data.author, text: data.text, status: "complete", sources: [], turnId: data.turn_id,
          at: new Date().toISOString(), name: data.name, attachments: data.attachments ?? [],
        });
        if (data.author === "customer") {
          this.closed = false;
          this.busy = Boolean(data.turn_id);
        }
        this.#changed("message", { author: data.author, text: data.text });
        break;
      case "turn.queued":
        this.busy = true;
        this.#changed("state");
        break;
      case "turn.started":
        this.busy = true;
        this.live = { turnId: data.turn_id, text: "", sources: [] };
        this.step = null;
        this.#changed("live");
        break;
      case "step":
      case "tool.started":
        this.step = data.name;
        this.#changed("state");
        break;
      case "sources":
        if (this.live) this.live.sources = data.sources ?? [];
        break;
      case "message.delta":
        this.#delta(data);
        break;
      case "message.completed":
        this.#keep({
          id: data.message_id, n, author: "bot", text: data.message, status: data.status, sources: data.sources ?? [],
          turnId: data.turn_id, at: new Date().toISOString(), attachments: [],
        });
        this.live = null;
        this.#changed("message", { author: "bot", text: data.message });
        break;
      case "turn.completed":
      case "turn.failed":
      case "turn.cancelled":
        this.live = null;
        this.busy = false;
        this.step = null;
        this.#changed("state");
        break;
      case "handoff.requested":
        this.handoff = { status: "requested", name: null };
        this.#changed("state");
        break;
      case "handoff.claimed":
        this.handoff = { status: "claimed", name: data.agent?.name ?? null };
        this.#changed("state");
        break;
      case "handoff.released":
      case "handoff.resolved":
        this.handoff = data.reason === "unanswered" ? { status: "requested", name: null } : null;
        this.#changed("state");
        break;
      case "session.closed":
        this.closed = true;
        this.busy = false;
        this.live = null;
        this.#changed("state");
        break;
    }
  }

  /** Offsets count code points, so that every client cuts a text at the same place. */
  #delta({ turn_id: turnId, text, offset }) {
    if (!this.live || this.live.turnId !== turnId) this.live = { turnId, text: "", sources: this.live?.sources ?? [] };
    const points = [...this.live.text];
    if (offset > points.length) return; // a part is missing: the stream resumes from where we are
    this.live.text = points.slice(0, offset).join("") + text;
    this.busy = true;
    this.#changed("live");
  }

  #keep(message) {
    const before = this.messages.get(message.id);
    this.messages.set(message.id, { ...before, ...message, at: before?.at ?? message.at });
  }

  #lastName() {
    return this.ordered.filter((message) => message.author === "agent").at(-1)?.name ?? null;
  }

  #changed(what, detail = {}) {
    this.dispatchEvent(new CustomEvent("change", { detail: { what, ...detail } }));
  }
}
