"""The hubs: what each says for itself (``site``), which are known, who is asked, and what ``api`` asks them."""
