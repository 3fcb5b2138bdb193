"""The hubs: what each says for itself (``site``), which are known, who is asked, and what ``client`` asks them."""
