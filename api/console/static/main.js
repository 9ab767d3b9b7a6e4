/* Puts the parts together: who is signed in, what they may see, and what happens when the sign-in runs out. */

import { openAccount } from "./account.js";
import { Api } from "./api.js";
import { Inbox } from "./inbox.js";
import { Kept } from "./kept.js";
import { Knowledge } from "./knowledge.js";
import { Overview } from "./overview.js";
import { Playground } from "./playground.js";
import { Prompts } from "./prompts.js";
import { Ranking } from "./ranking.js";
import { Router } from "./router.js";
import { Shell } from "./shell.js";
import { SignIn } from "./signin.js";
import { Team } from "./team.js";
import { Tickets } from "./tickets.js";
import { Webhooks } from "./webhooks.js";

const VIEWS = [
  { id: "inbox", title: "Inbox", always: true, make: (desk) => new Inbox(desk) },
  { id: "tickets", title: "Tickets", always: true, make: (desk) => new Tickets(desk) },
  { id: "overview", title: "Overview", make: (desk) => new Overview(desk) },
  { id: "knowledge", title: "Knowledge", make: (desk) => new Knowledge(desk) },
  { id: "prompts", title: "Prompts", admins: true, make: (desk) => new Prompts(desk) },
  { id: "ranking", title: "Ranking", admins: true, make: (desk) => new Ranking(desk) },
  { id: "team", title: "Team", admins: true, make: (desk) => new Team(desk) },
  { id: "webhooks", title: "Webhooks", admins: true, make: (desk) => new Webhooks(desk) },
  { id: "playground", title: "Playground", make: (desk) => new Playground(desk) },
];

const api = new Api();
let desk = null; // {api, who, kept, shell}: what every view works with
let router = null;

const signIn = new SignIn(api, { onOther: (who) => begin(who), onOut: () => signOut(), mayLeave });
api.askAgain = () => signIn.ask();

/** A new desk: nothing of the person before is left on it. */
function begin(who) {
  end();
  const mine = VIEWS.filter(({ admins }) => !admins || who.role === "admin");
  const shell = new Shell(api, who, mine, {
    onSignOut: () => mayLeave() && signOut(),
    onAccount: async () => (await openAccount({ api, who, onOut: () => signOut() })) && shell.notice.done("Your password is changed."),
  });
  desk = { api, who, kept: new Kept(), shell, isAdmin: who.role === "admin" };
  const own = desk;
  router = new Router(mine.map((view) => ({ id: view.id, make: () => view.make(own) })), shell.main, (...where) => shell.go(...where));
  for (const { id, always } of mine) if (always) router.view(id); // its count is wanted wherever one is
}

function end() {
  router?.end();
  desk?.shell.remove();
  for (const dialog of document.querySelectorAll("dialog.ask")) dialog.close();
  router = null;
  desk = null;
}

function mayLeave() {
  return !desk?.kept.any || confirm("You have written something that is not sent. Sign out all the same?");
}

async function signOut() {
  end();
  api.signOut();
  signIn.forget();
  history.replaceState(null, "", location.pathname);
  begin(await signIn.ask());
}

addEventListener("beforeunload", (event) => {
  if (desk?.kept.any) event.preventDefault();
});

begin(await signIn.ask());
