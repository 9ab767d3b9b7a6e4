/* Which view is shown, by the address: `#/inbox`, `#/tickets/<id>`. A view is made when it is first wanted, and stays. */

export class Router {
  #made = new Map();
  #shown = null;
  #left = ["", ""]; // the view that is shown, and the address in it

  /**
   * `views`: {id, make()} each, whose `make()` gives {node, show(rest), hide?(), end?()}. `onGo(id, left, address)` hears
   * which is shown now, and at which address the one before was left.
   */
  constructor(views, main, onGo) {
    Object.assign(this, { views, main, onGo });
    this.changed = () => this.#go();
    addEventListener("hashchange", this.changed);
    this.#go();
  }

  /** The view of this name, made if it was not yet. */
  view(id) {
    if (!this.#made.has(id)) {
      const made = this.views.find((view) => view.id === id).make();
      made.node.hidden = true;
      this.main.append(made.node);
      this.#made.set(id, made);
    }
    return this.#made.get(id);
  }

  end() {
    removeEventListener("hashchange", this.changed);
    for (const view of this.#made.values()) view.end?.();
  }

  #go() {
    const [, wanted = "", ...rest] = location.hash.split("/");
    const id = this.views.some((view) => view.id === wanted) ? wanted : this.views[0].id;
    if (id !== wanted) history.replaceState(null, "", `#/${id}`);
    const view = this.view(id);
    if (this.#shown !== view) {
      if (this.#shown) {
        this.#shown.hide?.();
        this.#shown.node.hidden = true;
      }
      this.#shown = view;
      view.node.hidden = false;
      this.onGo(id, ...this.#left);
    }
    this.#left = [id, location.hash];
    view.show(id === wanted ? rest.filter((part) => /^[\w-]+$/.test(part)) : []);
  }
}
