/* Helpdesk widget loader. Puts one frame of the support site into this page and speaks with it; nothing else runs here.
   Settings: window.helpdeskSettings = {websiteToken, baseUrl, locale, position, hideBubble, launcherTitle, theme}
   Methods:  helpdesk.toggle open close setUser setLocale setCustomAttributes reset
   Events on window: helpdesk:ready helpdesk:opened helpdesk:closed helpdesk:message helpdesk:error */
(() => {
  "use strict";
  if (window.helpdesk) return;
  const VERSION = 1;
  const settings = window.helpdeskSettings || {};
  const own = document.currentScript;
  const base = new URL(settings.baseUrl || (own && own.src) || location.href, location.href);
  const origin = base.origin;
  const left = settings.position === "left";
  const CLOSED = { width: "88px", height: "88px" };
  const waiting = [];
  let frame, ready = false, open = false;

  const emit = (name, detail) => window.dispatchEvent(new CustomEvent(`helpdesk:${name}`, { detail }));

  const post = (type, data = {}) => {
    const message = { helpdesk: VERSION, type, ...data };
    if (ready) frame.contentWindow.postMessage(message, origin);
    else waiting.push(message);
  };

  const place = () => {
    const small = matchMedia("(max-width: 480px), (max-height: 480px)").matches;
    const style = frame.style;
    style.display = !open && settings.hideBubble ? "none" : "block";
    style.width = open ? (small ? "100%" : "min(400px, calc(100vw - 24px))") : CLOSED.width;
    style.height = open ? (small ? "100%" : "min(704px, calc(100vh - 24px))") : CLOSED.height;
    for (const side of ["left", "right", "bottom", "top"]) style[side] = "auto";
    const gap = open && !small ? "12px" : "0";
    style.bottom = gap;
    style[left ? "left" : "right"] = gap;
    frame.setAttribute("aria-hidden", String(!open && Boolean(settings.hideBubble)));
  };

  const show = (wanted) => {
    if (open === wanted) return;
    open = wanted;
    place();
    emit(open ? "opened" : "closed");
  };

  const start = () => {
    if (!settings.websiteToken) {
      emit("error", { reason: "helpdeskSettings.websiteToken is missing" });
      return;
    }
    frame = document.createElement("iframe");
    const page = new URL(`/widget/${encodeURIComponent(settings.websiteToken)}`, origin);
    frame.src = page.href;
    frame.title = settings.launcherTitle || "Support";
    frame.allow = "clipboard-write";
    frame.setAttribute("referrerpolicy", "origin");
    Object.assign(frame.style, {
      position: "fixed", border: "0", zIndex: "2147483000", background: "transparent", colorScheme: "normal",
    });
    place();
    frame.addEventListener("error", () => emit("error", { reason: "the frame could not be loaded" }));
    document.body.append(frame);
  };

  window.addEventListener("resize", () => frame && place());
  window.addEventListener("message", (event) => {
    const { data, source } = event;
    if (!frame || event.origin !== origin || source !== frame.contentWindow || !data || data.helpdesk !== VERSION) return;
    if (data.type === "hello") {
      ready = true;
      const { locale, theme, launcherTitle } = settings;
      post("init", { settings: { locale, theme, launcherTitle, position: left ? "left" : "right" } });
      waiting.splice(0).forEach((message) => frame.contentWindow.postMessage(message, origin));
      emit("ready");
    } else if (data.type === "open") show(true);
    else if (data.type === "close") show(false);
    else if (data.type === "message") emit("message", data.message);
    else if (data.type === "error") emit("error", { reason: data.reason });
  });

  window.helpdesk = Object.freeze({
    version: VERSION,
    open: () => post("open"),
    close: () => post("close"),
    toggle: (state) => post(state === undefined ? "toggle" : state === "open" || state === true ? "open" : "close"),
    setUser: (token) => post("setUser", { token: String(token) }),
    setLocale: (locale) => post("setLocale", { locale: String(locale) }),
    setCustomAttributes: (attributes) => post("setCustomAttributes", { attributes }),
    reset: () => post("reset"),
  });

  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start, { once: true });
})();
