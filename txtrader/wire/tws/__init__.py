"""The TWS wire: message table, framing, both roles."""
