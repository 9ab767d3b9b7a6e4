/* Puts the parts together: what is stored, what the server says, what the page shows, and what the site around it asks. */

import { Api, ApiError } from "./api.js";
import { Conversation } from "./conversation.js";
import { Host } from "./host.js";
import { Words } from "./i18n.js";
import { Outbox } from "./outbox.js";
import { Sheets } from "./sheets.js";
import { Storage } from "./storage.js";
import { Stream } from "./stream.js";
import { Uploads } from "./uploads.js";
import { View } from "./view.js";

const IDENTITY_MS = 10_000; // for the site to say, after a reload, who this is; then it goes on as with anybody
const started = performance.now();
const config = JSON.parse(document.body.dataset.config);
const storage = new Storage(config.widgetKey);
const api = new Api(config.widgetKey);
const words = new Words();
const conversation = new Conversation();
const framed = window.parent !== window;
let stream = null;
let open = !framed;
let connection = "open";
let attributes = null;
let opening = null; // one session is opened, however often somebody asks
let loading = 0;
let expired = false; // the identity that the site signed
let view, outbox, sheets, uploads, host;

const sessionId = () => storage.get("session");

const handlers = {
  init: ({ settings }) => {
    if (open) host?.tell("open");
    applyTheme(settings.theme);
    document.documentElement.dataset.position = settings.position;
    if (settings.locale) setLocale(settings.locale);
  },
  open: () => setOpen(true),
  close: () => setOpen(false),
  toggle: () => setOpen(!open),
  setUser: ({ token }) => setUser(token),
  setLocale: ({ locale }) => setLocale(locale),
  setCustomAttributes: (data) => {
    attributes = data.attributes;
    if (sessionId() && known()) api.call("PATCH", `/chat/sessions/${sessionId()}`, { body: { attributes } }).catch(report);
  },
  reset: () => reset(),
};

const known = () => Boolean(api.identity || api.visitor);
/** Whether what is typed waits for the site to say who types: it goes into that person's conversation, not a stranger's. */
const unsaid = () => storage.get("subject") !== null && !api.identity && (expired || performance.now() - started < IDENTITY_MS);
const later = (seconds) => Object.assign(new Error(words.t("offline")), { retryAfter: seconds });

const actions = {
  toggle: () => setOpen(!open),
  close: () => setOpen(false),
  back: () => view.closeSheet(),
  menu: () => view.setMenu(menu()),
  send: (text) => {
    const files = uploads.take();
    if (files === null) return false;
    outbox.add(text, files);
    return true;
  },
  discard: (key) => outbox.drop(key),
  attach: (files) => uploads.add(files),
  download: (file) => uploads.download(file).catch(report),
  judge: async (messageId, value) => {
    view.judged.set(messageId, value);
    draw();
    await api.judge(sessionId(), messageId, value).catch(report);
  },
};

function menu() {
  const items = [{ label: words.t("talk_to_person"), run: askForPerson }];
  items.push({ label: words.t("new_conversation"), run: startAnew });
  if (known()) items.push({ label: words.t("past_conversations"), run: () => sheets.conversations() });
  if (known()) items.push({ label: words.t("my_tickets"), run: () => sheets.tickets() });
  if (conversation.messages.size) items.push({ label: words.t("transcript"), run: transcript });
  const sound = storage.get("sound") === true;
  items.push({ label: words.t("sound"), checked: sound, run: () => storage.set("sound", !sound) });
  return items;
}

function setOpen(wanted) {
  if (!framed) return;
  open = wanted;
  storage.set("open", open);
  if (open) view.setOpen(true);
  host?.tell(open ? "open" : "close");
  if (!open) view.setOpen(false);
  if (open) unread(0);
}

function unread(count) {
  storage.set("unread", count);
  view.setUnread(count);
}

async function setLocale(locale) {
  await words.use(locale, config.locales);
  if (view) {
    view.translate(open);
    view.setUnread(open ? 0 : (storage.get("unread") ?? 0));
    draw();
  }
}

function applyTheme(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}

/** The site says who this is; another person must not find the last one's conversation. */
async function setUser(token) {
  const [subject, before] = [subjectOf(token), storage.get("subject")];
  api.identity = token;
  expired = false;
  if (before !== subject) {
    forget({ unsent: before !== null }); // what nobody in particular has typed is this person's
    storage.set("subject", subject);
  }
  await connect();
  outbox.flush();
}

/** The conversation and what is typed wait for the site to say again who this is. */
function expire() {
  if (expired) return;
  expired = true;
  api.identity = null;
  stream?.stop();
  stream = null;
  host?.tell("error", { reason: "identity_expired" });
}

function subjectOf(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).sub ?? null;
  } catch {
    return null;
  }
}

function forget({ unsent = true } = {}) {
  loading++; // whatever is on its way is nobody's any more
  stream?.stop();
  stream = null;
  for (const name of ["session", "visitor", "unread"]) storage.set(name, null);
  if (unsent) storage.set("outbox", null);
  uploads.clear();
  api.visitor = null;
  conversation.clear();
}

function reset() {
  forget();
  storage.set("subject", null);
  api.identity = null;
  view.closeSheet();
  view.setBanner("");
  draw();
}

function startAnew() {
  loading++;
  stream?.stop();
  stream = null;
  storage.set("session", null);
  conversation.clear();
  view.closeSheet();
  draw();
}

/** The session that messages go to, opened with the first of them. */
function ensureSession() {
  if (unsaid()) return Promise.reject(later(1));
  if (sessionId() && known()) return Promise.resolve(sessionId());
  opening ??= (async () => {
    try {
      const subject = storage.get("subject");
      const made = await api.openSession(attributes);
      if (storage.get("subject") !== subject) throw later(0.1); // it is another person's by now
      if (made.visitor_token) {
        storage.set("visitor", made.visitor_token);
        api.visitor = made.visitor_token;
      }
      storage.set("session", made.session_id);
      await connect();
      return made.session_id;
    } finally {
      opening = null;
    }
  })();
  return opening;
}

async function deliver(item) {
  try {
    const id = await ensureSession();
    await api.send(id, item.text, item.key, item.attachments.map((file) => file.id));
    setConnection("open");
    if (!stream) await connect(); // a conversation that had ended goes on
  } catch (error) {
    throw error.status === 404 ? await missing(error) : judged(error);
  }
}

/** What is not there: the conversation, or something in the message, which would be missing in a new one, too. */
async function missing(error) {
  try {
    await api.session(sessionId());
  } catch (why) {
    return judged(why);
  }
  return Object.assign(error, { fatal: true });
}

/** Whether trying again can help: a lost network can come back, a refused message can't. */
function judged(error) {
  if (error.retryAfter) return error;
  if (!(error instanceof ApiError)) {
    setConnection("lost");
    return error;
  }
  if (error.status === 429 || error.status >= 500) return Object.assign(error, { retryAfter: 5 });
  if (error.code === "session_closed" || (error.status === 404 && sessionId())) {
    startAnew();
    return Object.assign(error, { retryAfter: 0.1 });
  }
  if (error.status === 401 && api.identity) {
    expire();
    return Object.assign(error, { retryAfter: 1 });
  }
  if (error.status === 401 && api.visitor) {
    api.visitor = null; // it has run out: the message goes into a new conversation, under a new one
    storage.set("visitor", null);
    startAnew();
    return Object.assign(error, { retryAfter: 0.1 });
  }
  return Object.assign(error, { fatal: true });
}

/** Read the stored conversation and follow it from there. */
async function connect() {
  stream?.stop();
  stream = null;
  const [id, turn] = [sessionId(), ++loading];
  if (!id || !known()) {
    draw();
    return;
  }
  try {
    const session = await api.session(id);
    const history = await api.history(id);
    if (turn !== loading) return;
    conversation.clear();
    conversation.load(history, session);
    follow(id, String(session.last_n));
  } catch (error) {
    if (turn !== loading) return;
    if (error.status === 401 && api.identity) {
      expire();
      draw();
      return;
    }
    if (error instanceof ApiError && [401, 403, 404].includes(error.status)) {
      startAnew();
      return;
    }
    setConnection("lost");
    setTimeout(() => turn === loading && connect(), 2000 + Math.random() * 2000);
  }
  draw();
}

function follow(id, cursor) {
  stream = new Stream(api, id, cursor, {
    onEvent: (event) => {
      if (event.type === "resync") {
        connect();
        return;
      }
      if (event.type === "message.created" && event.data.author === "customer") settle(event.data.text);
      conversation.apply(event);
    },
    onState: (state) => {
      if (state === "ended") stream = null;
      else if (state === "unknown" && api.identity) expire();
      else if (state === "unknown" || state === "refused") startAnew();
      else setConnection(state);
    },
  });
}

/** A stored message takes the place of the one that waited. */
function settle(text) {
  const item = outbox.items.find((kept) => kept.text === text && !kept.failed);
  if (item) hiddenItems.add(item.key);
}
const hiddenItems = new Set();

function setConnection(state) {
  if (state === connection) return;
  connection = state;
  view.setBanner(state === "lost" ? words.t("offline") : "");
  if (state === "open") outbox.flush();
}

async function askForPerson() {
  try {
    await api.act(await ensureSession(), "escalate", {});
  } catch (error) {
    report(error);
  }
}

function transcript() {
  const lines = conversation.ordered.map((message) => `[${words.date(message.at)} ${words.time(message.at)}] ${message.name || words.t(`author_${message.author}`)}: ${message.text}`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n\n")], { type: "text/plain" }));
  link.download = "conversation.txt";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function report(error) {
  view.setBanner(error instanceof ApiError ? error.message : words.t("offline"));
  setTimeout(() => connection === "open" && view.setBanner(""), 6000);
  host?.tell("error", { reason: error.message });
}

function beep() {
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  const volume = audio.createGain();
  tone.frequency.value = 660;
  volume.gain.setValueAtTime(0.08, audio.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.25);
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.25);
}

let drawing = false;
/** At most once per frame, however fast the events come. */
function draw() {
  if (drawing || !view) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    view.show(conversation, outbox.items.filter((item) => !hiddenItems.has(item.key)), config.greeting);
    const fresh = conversation.messages.size === 0 && outbox.items.length === 0;
    view.setChips(fresh ? config.questions.map((label) => ({ label, run: () => outbox.add(label) })) : conversation.closed ? [{ label: words.t("new_conversation"), run: startAnew }] : []);
  });
}

conversation.addEventListener("change", ({ detail }) => {
  draw();
  if (detail.what === "live" && conversation.live?.text) view.speak(conversation.live.text);
  if (detail.what === "message" && detail.author !== "customer") {
    view.speak(detail.text, { whole: true });
    host?.tell("message", { message: { author: detail.author, text: detail.text } });
    if (!open) unread((storage.get("unread") ?? 0) + 1);
    if (storage.get("sound") === true && (!open || document.hidden)) beep();
  }
});

async function begin() {
  await words.use(new URLSearchParams(location.search).get("locale") ?? "", config.locales);
  view = new View(words, actions, { framed, hosts: config.linkHosts, title: config.name });
  outbox = new Outbox(storage, deliver, draw);
  uploads = new Uploads(api, words, config.attachments, (files) => view.setAttached(files), ensureSession);
  sheets = new Sheets(view, api, words, { choose: (id) => {
    storage.set("session", id);
    view.closeSheet();
    connect();
  }, report });
  api.visitor = storage.get("visitor");
  storage.onChange((name) => {
    if (name === "outbox") draw();
    if (name === "session" || name === "visitor") {
      api.visitor = storage.get("visitor");
      connect();
    }
  });
  addEventListener("offline", () => setConnection("lost"));
  addEventListener("online", () => outbox.flush());
  open = !framed || storage.get("open") === true;
  view.setOpen(open);
  view.setUnread(open ? 0 : (storage.get("unread") ?? 0));
  host = new Host(config.allowedOrigins, handlers);
  await connect();
  outbox.flush();
  document.documentElement.dataset.ready = "";
}

await begin();
