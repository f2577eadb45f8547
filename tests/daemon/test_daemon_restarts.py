"""A restart storm does not become a login storm (F27)."""

from __future__ import annotations

from pathlib import Path

from txtrader.daemon.restarts import RestartBrake


def test_starts_that_come_to_nothing_make_the_next_ones_wait(tmp_path: Path) -> None:
    path = str(tmp_path / "starts")
    waits = [RestartBrake(path).start(1000.0 + number) for number in range(12)]
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_success_and_time_forget_them(tmp_path: Path) -> None:
    path = str(tmp_path / "starts")
    for number in range(5):
        RestartBrake(path).start(1000.0 + number)
    assert RestartBrake(path).start(1310.0) == 0
    for number in range(5):
        brake = RestartBrake(path)
        brake.start(2000.0 + number)
    brake.succeeded()
    brake.succeeded()
    assert RestartBrake(path).start(2006.0) == 0


def test_a_clock_that_was_set_back_and_a_torn_file_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "starts"
    for _ in range(5):
        RestartBrake(str(path)).start(9000.0)
    assert RestartBrake(str(path)).start(100.0) == 0
    path.write_text("12.5\nx")
    assert RestartBrake(str(path)).start(100.0) == 0
