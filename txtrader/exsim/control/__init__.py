"""The control of the simulator: its management protocol, and what its requests do."""
