"""A simulated CQG WebAPI server on a venue: protocol buffers over WebSockets, for any client of the protocol."""

from txtrader.exsim.endpoints.cqg.endpoint import CqgEndpoint
from txtrader.exsim.endpoints.cqg.options import CqgOptions

__all__ = ["CqgEndpoint", "CqgOptions"]
