"""Package definition: what a user installs, and the commands that come with it."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION: dict[str, str] = {}
exec((ROOT / "txtrader" / "version.py").read_text(), VERSION)  # the one place the number stands

setup(
    name="txtrader",
    version=VERSION["__version__"],
    description="One daemon between a trader's programs and any broker",
    long_description=(ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=find_packages(include=["txtrader", "txtrader.*"]),
    package_data={"txtrader": ["py.typed", "**/*.csv", "**/*.json", "**/*.toml", "**/*.gz", "**/*.md", "**/*.txt"]},
    install_requires=[
        "twisted[tls]>=26.10",
        "protobuf>=4.25",  # CQG: message classes are built at run time, so that any supported runtime will do
        "autobahn[twisted]>=26.10.1",  # CQG speaks over WebSockets
        "ibapi>=9.81.1",
        "msgspec>=0.20",
        "python-dotenv>=1.0",
        "automat>=25.4",
        "defusedxml>=0.7.1",
        "click>=8.1",
        "rich>=13",
        "tzdata",
        'uvloop>=0.21; sys_platform != "win32"',
    ],
    extras_require={
        "test": [
            "pytest>=9",
            "hypothesis>=6.100",
            "pytest-twisted>=1.14",
            "ib_async>=2.1",
            "websockets>=15",
            "simplefix>=1.0.17",
            "nasdaq-protocols>=1.3.0",
            "ruff",
            "mypy",
            "mypy-zope",
            "import-linter",
            "types-defusedxml",
            "matplotlib",
        ],
    },
    entry_points={
        "console_scripts": [
            "txtrader = txtrader.cli:txtrader",
            "txtraderd = txtrader.cli:txtraderd",
            "exsim = txtrader.cli:exsim",
            "txtrader_monitor = txtrader.client.command:monitor_main",
        ],
        "pytest11": ["txtrader_exsim = txtrader.exsim.pytest_plugin"],
    },
)
