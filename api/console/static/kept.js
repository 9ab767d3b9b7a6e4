/* Texts that somebody is writing, by what they are for. They outlive a change of view and an error, but no reload. */

export class Kept {
  #texts = new Map();

  get(name) {
    return this.#texts.get(name) ?? "";
  }

  set(name, text) {
    if (text) this.#texts.set(name, text);
    else this.#texts.delete(name);
  }

  /** Behind what stands there already. */
  add(name, text) {
    const before = this.get(name).trim();
    this.set(name, before ? `${before}\n\n${text}` : text);
  }

  get any() {
    return this.#texts.size > 0;
  }

  /** Let a field show the text of this name and keep what is written; `fallback` stands where nothing was. */
  bind(field, name, fallback = "") {
    field.value = this.#texts.get(name) ?? fallback;
    field.addEventListener("input", () => this.set(name, field.value === fallback ? "" : field.value));
    return field;
  }
}
