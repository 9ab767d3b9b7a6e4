window.helpdeskSettings = { websiteToken: "demo" };
window.addEventListener("helpdesk:ready", () => window.helpdesk.open(), { once: true });
