"""Lines, endpoints and machines that fail; the server's log is the witness."""
