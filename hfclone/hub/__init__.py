"""The hubs: what is one hub's own, and what is asked of it."""
