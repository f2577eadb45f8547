"""HOW BYTES: sans-IO sessions, both roles of each protocol."""
