/* The HTTP API as a colleague uses it. The token lives in this object alone: nothing is stored, and a reload signs out. */

import { ApiError, newKey } from "./shared/api.js";

export { ApiError };

const PATIENCE_MS = { GET: 20_000, POST: 60_000, PUT: 20_000, PATCH: 20_000, DELETE: 20_000 };
const UPLOAD_MS = 180_000;
const UNSURE_MS = 120_000; // that a change which may have arrived is taken for the same one when it is made again

/** There is no way to the server. */
export class Away extends Error {
  constructor() {
    super("The server can't be reached.");
  }
}

export class Api {
  #token = null;
  #renewal = null;
  #changing = Promise.resolve(); // a new password is on its way
  #going = new Map(); // what is on its way, by what it says: a second click joins the first
  #keys = new Map(); // of changes of which nobody knows whether they arrived: sent again, they happen once

  /** `askAgain()` resolves once the same colleague has signed in anew. */
  askAgain = () => Promise.reject(new Error("nobody is signed in"));

  headers(more = {}) {
    return { ...(this.#token ? { Authorization: `Bearer ${this.#token}` } : {}), ...more };
  }

  async signIn(email, password) {
    const made = await this.#fetch("POST", "/auth/login", { body: { email, password }, anonymous: true });
    const before = this.#token;
    this.#token = made.access_token;
    try {
      const who = await this.#fetch("GET", "/auth/me");
      this.#hold(made);
      return who;
    } catch (error) {
      this.#token = before;
      throw error;
    }
  }

  /** Forget the token, and have the server end it, which works as long as the server can be reached. */
  signOut() {
    if (this.#token) reach("/auth/logout", { method: "POST", headers: this.headers(), keepalive: true }).catch(() => {});
    clearTimeout(this.#renewal);
    this.#token = null;
    this.#going.clear();
    this.#keys.clear();
  }

  /** Every other sign-in of this colleague ends; what is asked for meanwhile waits for the token of the new one. */
  changePassword(current, fresh) {
    const body = { current_password: current, new_password: fresh };
    const made = this.#once("PUT /auth/password", () => this.#fetch("PUT", "/auth/password", { body })).then((held) => this.#hold(held));
    this.#changing = made.catch(() => {});
    return made;
  }

  /** On every device, this one included. */
  async signOutEverywhere() {
    await this.post("/auth/logout", { everywhere: true });
    this.#token = null;
  }

  /** A question. When the sign-in has run out it waits for a new one and asks again. */
  async read(path) {
    const token = this.#token;
    try {
      return await this.#fetch("GET", path);
    } catch (error) {
      if (error.status !== 401) throw error;
      await this.#changing;
      if (token === this.#token) await this.askAgain();
      return this.#fetch("GET", path);
    }
  }

  /** Every page of a list, up to `most` items. */
  async readAll(path, most = 500) {
    const items = [];
    for (let cursor = null; ; ) {
      const page = await this.read(`${path}${path.includes("?") ? "&" : "?"}limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      items.push(...page.items);
      cursor = page.next_cursor;
      if (!cursor || items.length >= most) return items;
    }
  }

  /** A change. It is not repeated after a new sign-in: who comes back an hour later would not want it any more. */
  change(method, path, body) {
    const name = `${method} ${path} ${JSON.stringify(body ?? null)}`;
    return this.#once(name, (key) => this.#fetch(method, path, { body, key }));
  }

  post(path, body = {}) {
    return this.change("POST", path, body);
  }

  /** Files; `name` says what they are, so that the same ones sent twice arrive once. */
  upload(path, form, name) {
    return this.#once(`upload ${path} ${name}`, (key) => this.#fetch("POST", path, { form, key }));
  }

  async download(file) {
    const answer = await reach(`/attachments/${file.id}`, { headers: this.headers() });
    if (!answer.ok) throw await problemOf(answer);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = file.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  /** Whoever makes a change again from now on means another one. */
  forget() {
    for (const name of this.#keys.keys()) if (!this.#going.has(name)) this.#keys.delete(name);
  }

  #once(name, run) {
    if (this.#going.has(name)) return this.#going.get(name);
    const kept = this.#keys.get(name);
    const key = kept && Date.now() - kept.since < UNSURE_MS ? kept.key : newKey();
    this.#keys.set(name, { key, since: Date.now() });
    const going = (async () => {
      try {
        const answer = await run(key);
        this.#keys.delete(name);
        return answer;
      } catch (error) {
        if (error instanceof ApiError && error.status < 500) this.#keys.delete(name);
        if (error.status === 401) this.askAgain().catch(() => {});
        throw error;
      } finally {
        this.#going.delete(name);
      }
    })();
    this.#going.set(name, going);
    return going;
  }

  /** Keep a token, and have it renewed well before it ends. Where that fails, the next question asks for the password. */
  #hold({ access_token: token, expires_in: seconds }) {
    clearTimeout(this.#renewal);
    this.#token = token;
    this.#renewal = setTimeout(() => this.#renew(token, seconds / 6), (seconds / 2) * 1000);
  }

  async #renew(token, again) {
    try {
      const made = await this.#fetch("POST", "/auth/renew");
      if (this.#token === token) this.#hold(made);
    } catch (error) {
      if (this.#token === token && error.status !== 401) this.#renewal = setTimeout(() => this.#renew(token, again), again * 1000);
    }
  }

  async #fetch(method, path, { body, form, key, anonymous } = {}) {
    const headers = anonymous ? {} : this.headers(key && method === "POST" ? { "Idempotency-Key": key } : {});
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await reach(path, {
      method, headers, body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
      signal: AbortSignal.timeout(form ? UPLOAD_MS : PATIENCE_MS[method]),
    });
    if (!answer.ok) throw await problemOf(answer);
    return answer.status === 204 ? null : answer.json().catch(() => Promise.reject(new Away()));
  }
}

async function reach(path, options) {
  try {
    return await fetch(`/api/v1${path}`, { ...options, credentials: "omit", cache: "no-store" });
  } catch {
    throw new Away();
  }
}

async function problemOf(answer) {
  const problem = await answer.json().catch(() => null);
  const fields = problem?.errors ?? [];
  return Object.assign(new ApiError(answer.status, problem), { fields, retryAfter: Number(answer.headers.get("Retry-After")) || 0 });
}

/** What happened, in words for the person in front of it. */
export function explain(error) {
  if (!(error instanceof ApiError)) return error.message;
  const said = `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}`.replace(/[.]?$/, ".");
  if (error.status === 401) return "The sign-in had run out, so nothing was sent. Sign in, then do it again.";
  if (error.status === 403) return `This is not for your role: ${error.message}.`;
  if (error.status === 413) return "This is too large.";
  if (error.status === 429) return `Too many requests. Try again in ${error.retryAfter || 60} seconds.`;
  if (error.status >= 500) return "Something went wrong on the server. Try again in a moment.";
  if (error.fields?.length) return error.fields.map(({ pointer, detail }) => `${pointer.split("/").filter((part) => part && part !== "body").join(" ") || "Input"}: ${detail}.`).join(" ");
  return said;
}
