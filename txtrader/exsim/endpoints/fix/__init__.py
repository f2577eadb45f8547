"""FIX clients of the venue: order entry, market data, drop copy; and the echo that proves the session."""

from txtrader.exsim.endpoints.fix.endpoint import Application, FixEndpoint, FixOptions

__all__ = ["Application", "FixEndpoint", "FixOptions"]
