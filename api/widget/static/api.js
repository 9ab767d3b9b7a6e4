/* The HTTP API as the page uses it. Who is asking: a visitor's token, or the identity that the site signed. */

const PATIENCE_MS = 20_000; // with a connection that says nothing; what was sent under a key may be sent again

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem?.detail || `status ${status}`);
    this.status = status;
    this.code = problem?.code || "";
  }
}

export class Api {
  constructor(widgetKey) {
    this.widgetKey = widgetKey;
    this.identity = null; // a token that the site signed; it goes before the visitor's own
    this.visitor = null;
  }

  headers(more = {}) {
    const token = this.identity || this.visitor;
    return {
      "X-Widget-Key": this.widgetKey,
      ...(token ? { Authorization: `Bearer ${token}` } : {}),
      ...more,
    };
  }

  /** The parsed answer. Throws ApiError for a problem, another error where the network is away or silent. */
  async call(method, path, { body, headers = {} } = {}) {
    const json = body === undefined ? {} : { "Content-Type": "application/json" };
    const answer = await fetch(`/api/v1${path}`, {
      method, headers: this.headers({ ...json, ...headers }), credentials: "omit", cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const parsed = answer.headers.get("content-type")?.includes("json") ? await answer.json() : null;
    if (!answer.ok) throw new ApiError(answer.status, parsed);
    return parsed;
  }

  openSession(attributes) {
    return this.call("POST", "/chat/sessions", { body: attributes ? { attributes } : {} });
  }

  session(id) {
    return this.call("GET", `/chat/sessions/${id}`);
  }

  sessions(cursor) {
    return this.call("GET", `/chat/sessions?limit=20${cursor ? `&cursor=${cursor}` : ""}`);
  }

  async history(id) {
    const messages = [];
    for (let after = 0; ; ) {
      const page = await this.call("GET", `/chat/sessions/${id}/messages?limit=100&after=${after}`);
      messages.push(...page.items);
      if (!page.next_cursor) return messages;
      after = page.next_cursor;
    }
  }

  send(id, text, key, attachmentIds) {
    const body = { message: text, ...(attachmentIds?.length ? { attachment_ids: attachmentIds } : {}) };
    const headers = { Prefer: "respond-async", "Idempotency-Key": key };
    return this.call("POST", `/chat/sessions/${id}/messages`, { body, headers });
  }

  act(id, what, body) {
    return this.call("POST", `/chat/sessions/${id}/${what}`, { body });
  }

  judge(id, messageId, value) {
    return this.act(id, "feedback", { kind: "thumb", value, message_id: messageId });
  }

  tickets(cursor) {
    return this.call("GET", `/tickets?limit=20${cursor ? `&cursor=${cursor}` : ""}`);
  }

  ticket(id) {
    return this.call("GET", `/tickets/${id}`);
  }

  openTicket(subject, content, key) {
    return this.call("POST", "/tickets", { body: { subject, content }, headers: { "Idempotency-Key": key } });
  }
}

export const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
