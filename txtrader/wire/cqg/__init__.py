"""CQG WebAPI: protocol buffers, one message to a WebSocket message; messages to bytes and both ends of a session."""
