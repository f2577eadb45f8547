"""Installing for real: bootstrap.sh, make install, start, stop, uninstall, in namespaces of their own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SCRIPTS = [
    "bootstrap.sh",
    ".ci/run",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "service").glob("**/*")) if path.name == "run"),
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "service").glob("*.sh"))),
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_is_an_executable_posix_script(script: str) -> None:
    path = ROOT / script
    assert path.read_text().startswith("#!/bin/sh\n")
    assert os.access(path, os.X_OK)
    subprocess.run(["sh", "-n", path], check=True)


def test_the_services_of_all_modes_run_alike() -> None:
    runs = {path.read_text() for path in ROOT.glob("service/txtrader.*/run")}
    logs = {path.read_text() for path in ROOT.glob("service/txtrader.*/log/run")}
    assert len(runs) == len(logs) == 1


def free_ports(count: int) -> list[int]:
    """Ask the system for ports that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _can_isolate() -> bool:
    probe = "mkdir -p $0/a && mount -t tmpfs t $0/a && mkdir $0/a/u $0/a/w && mount -t overlay o -o "
    probe += "lowerdir=/etc,upperdir=$0/a/u,workdir=$0/a/w /etc"
    scratch = Path("/tmp/txtrader-probe")
    scratch.mkdir(exist_ok=True)
    try:
        done = subprocess.run(["unshare", "-m", "-p", "-f", "sh", "-c", probe, scratch], capture_output=True)
    finally:
        shutil.rmtree(scratch)
    return done.returncode == 0


@pytest.mark.root
def test_an_installed_service_is_used_by_its_group_alone_and_leaves_nothing(tmp_path: Path) -> None:
    """F49, issue: bootstrap.sh piped and make install/start/stop/uninstall."""
    for need in ("unshare", "svscan", "git", "make", "runuser"):
        if shutil.which(need) is None:
            pytest.skip(f"{need} is missing")
    if os.geteuid() != 0 or not _can_isolate():
        pytest.skip("installing in a sandbox needs root that may mount")
    clone = Path("/opt") / f"txtrader-clone-{os.getpid()}"  # a place that other users can read
    try:
        shutil.copytree(ROOT, clone, ignore=_left_out)
        subprocess.run(["git", "init", "-q"], cwd=clone, check=True)
        subprocess.run(["git", "add", "-A"], cwd=clone, check=True)
        who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *who, "commit", "-q", "-m", "as it is"], cwd=clone, check=True)
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        scenario = ["sh", HERE / "install_scenario.sh", clone, scratch, *map(str, free_ports(2))]
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *scenario],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=600,
        )
    finally:
        shutil.rmtree(clone, ignore_errors=True)
    assert done.returncode == 0 and done.stdout.endswith("all is well\n"), done.stdout


def _left_out(folder: str, names: list[str]) -> set[str]:
    hidden = {name for name in names if name.startswith(".") and name not in (".ci", ".gitignore")}
    return hidden | ({"__pycache__", "supervise"} & set(names)) | {n for n in names if n.endswith(".egg-info")}
