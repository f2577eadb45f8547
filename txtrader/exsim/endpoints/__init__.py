"""The simulator's sockets, one protocol each."""
