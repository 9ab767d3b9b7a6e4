"""The chat widget: a loader for any site, and the page that it shows in a frame of our own origin."""
