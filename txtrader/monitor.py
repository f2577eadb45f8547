"""The monitor under the name that it has had since 2015."""

from txtrader.client.monitor import Monitor, State

__all__ = ["Monitor", "State"]
