"""The requests, room by room; each declares its arguments once."""
