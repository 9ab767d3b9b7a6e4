/* Words of the page, from one data file per language. */

const FALLBACK = "en";
const RTL = new Set(["ar", "fa", "he", "ur"]);

export class Words {
  #words = {};

  async use(wanted, available) {
    const language = pick(wanted, available);
    const [own, base] = await Promise.all([load(language), language === FALLBACK ? {} : load(FALLBACK)]);
    this.#words = { ...base, ...own };
    this.language = language;
    document.documentElement.lang = language;
    document.documentElement.dir = RTL.has(language) ? "rtl" : "ltr";
  }

  t(name, values = {}) {
    return Object.entries(values).reduce((text, [key, value]) => text.replace(`{${key}}`, value), this.#words[name] ?? name);
  }

  time(iso) {
    return new Date(iso).toLocaleTimeString(this.language, { hour: "2-digit", minute: "2-digit" });
  }

  date(iso) {
    return new Date(iso).toLocaleDateString(this.language, { dateStyle: "medium" });
  }
}

function pick(wanted, available) {
  for (const tag of [wanted, ...navigator.languages].filter(Boolean)) {
    const language = tag.toLowerCase().split("-")[0];
    if (available.includes(language)) return language;
  }
  return FALLBACK;
}

async function load(language) {
  const answer = await fetch(new URL(`locales/${language}.json`, import.meta.url));
  return answer.ok ? answer.json() : {};
}
