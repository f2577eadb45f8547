"""The gateway to TWS or IB Gateway: `txtraderd tac/tws.tac`, or `twistd --reactor=asyncio -noy tac/tws.tac`."""

from txtrader.service import make_application

application = make_application("tws")
