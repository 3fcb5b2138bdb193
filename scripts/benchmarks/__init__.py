"""``scripts/bench``: hfclone and other downloaders, in turn, on the same work of the same servers."""
