"""The gateway to the simulated market inside: `txtraderd tac/demo.tac`, or under twistd as in tws.tac."""

from txtrader.service import make_application

application = make_application("demo")
