"""What users import: `API`, blocking, for scripts, and `Monitor`, callbacks on events."""

from txtrader.client.api import API
from txtrader.client.monitor import Monitor

__all__ = ["API", "Monitor"]
