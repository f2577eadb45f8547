"""The gateway to CQG: `txtraderd tac/cqg.tac`, or `twistd --reactor=asyncio -noy tac/cqg.tac`."""

from txtrader.service import make_application

application = make_application("cqg")
