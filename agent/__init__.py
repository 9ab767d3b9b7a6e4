"""Who decides: settings, the composition root, models, the graph and its nodes, running a turn."""
