"""One TWS connection as a typed client: ids, pacing, pending questions, the table of codes."""
