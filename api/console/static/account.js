/* One's own account: another password, and an end to every sign-in. */

import { action, ask, field, Notice } from "./parts.js";
import { h } from "./shared/dom.js";

const SHORTEST = 10;

/** `onOut()` hears that there is no sign-in left, this page's included. */
export function openAccount({ api, who, onOut }) {
  const password = (autocomplete) => h("input", { type: "password", autocomplete, required: true, maxLength: 200 });
  const [current, fresh, repeated] = [password("current-password"), password("new-password"), password("new-password")];
  fresh.minLength = SHORTEST;
  const notice = new Notice();
  const everywhere = action("Sign out everywhere", async () => {
    await api.signOutEverywhere();
    onOut();
  }, { notice });
  return ask({
    title: "Your account",
    button: "Change the password",
    extra: h("div", { class: "stack" },
      h("p", { class: "soft", dir: "auto" }, who.user.email),
      h("input", { type: "text", autocomplete: "username", value: who.user.email, hidden: true }), // for those who keep passwords
      field("Current password", current), field("New password", fresh, `At least ${SHORTEST} characters. Wherever else you are signed in, you are signed out.`),
      field("New password, once more", repeated),
      h("p", { class: "aside" }, "A device is lost, or somebody else has used it?"), h("div", { class: "actions" }, everywhere), notice.node),
    run: async () => {
      if (fresh.value !== repeated.value) throw new Error("The two new passwords are not the same.");
      await api.changePassword(current.value, fresh.value);
    },
  });
}
