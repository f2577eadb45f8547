"""What tests import: a simulator in one line, and every request of its control as a method."""
