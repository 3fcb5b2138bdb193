"""The transfer's rules on simulated lines: the real coordinator, on one thread, by a clock that the test moves."""
