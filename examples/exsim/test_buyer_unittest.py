"""The same with unittest: run `python -m unittest discover examples/exsim`."""

from __future__ import annotations

import unittest

from fix_buyer import Buyer

from txtrader.exsim import API, ExsimError


class BuyerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.api = API()
        self.addCleanup(self.api.delete)  # ends the simulator, whatever happens
        self.server = self.api.create_server(seed=7)
        self.engine = self.server.create_engine("e1")
        self.book = self.engine.create_book("IBM", symbol="IBM", tick="0.01")
        self.port = self.engine.create_endpoint("fix", protocol="fix42", sender_comp_id="SIM").port

    def test_a_limit_order_fills_bit_by_bit(self) -> None:
        buyer = Buyer(self.port)
        self.addCleanup(buyer.close)
        buyer.buy("b1", "IBM", 100, "12.50")
        for n, quantity in enumerate((30, 70)):
            self.book.sell(f"s{n}", quantity, "12.50")
            self.assertEqual(buyer.wait_for_fill()[0], quantity)
        orders = self.server.list_orders(open_only=False, owner=None)
        self.assertEqual([order["status"] for order in orders], ["filled"] * 3)

    def test_the_venue_can_be_closed(self) -> None:
        self.engine.stop()
        buyer = Buyer(self.port)
        self.addCleanup(buyer.close)
        self.assertIn("closed", buyer.buy("b1", "IBM", 100, "12.50"))

    def test_a_wrong_request_is_an_exception(self) -> None:
        with self.assertRaises(ExsimError) as caught:
            self.engine.create_book("IBM", symbol="IBM")
        self.assertEqual(caught.exception.code, "already-exists")


if __name__ == "__main__":
    unittest.main()
