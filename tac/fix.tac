"""The gateway to a FIX broker: `txtraderd tac/fix.tac`, or `twistd --reactor=asyncio -noy tac/fix.tac`."""

from txtrader.service import make_application

application = make_application("fix")
