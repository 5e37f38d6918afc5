"""The typed half of a call: what resources declare becomes methods. Knows only `Send`."""
