"""How `n3` reads its arguments: wrong usage costs one line, and help waits for no large library."""

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from n3lib.io.console import tell
from n3lib.io.errors import N3Error, printable


class Parser(argparse.ArgumentParser):
    """The parser of `n3` or of a subcommand.

    Attributes:
        listed: gives lines that follow the help, made only when the help is asked for.
    """

    listed: Callable[[], list[str]] = list

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)
        # Without a default: that of a subcommand would undo a --debug before it.
        self.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
        )

    def error(self, message: str) -> NoReturn:
        """End with one line and exit code 2."""
        self.exit(2, f"n3: {printable(message)}. See {self.prog} --help.\n")

    def format_help(self) -> str:
        """The help, and what is `listed`."""
        return super().format_help() + "".join(f"  {line}\n" for line in self.listed())

    def print_help(self, file: Any = None) -> None:
        """Print the help; that it cannot be written is an error, which argparse's own passes over."""
        print(self.format_help(), end="", file=file)


class Version(argparse.Action):
    """Prints the version that is installed, which is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import PackageNotFoundError, version

        try:
            tell(f"n3 {version('n3lib')}")
        except PackageNotFoundError:
            raise N3Error("n3lib is not installed, so it has no version", "Install it with pip") from None
        parser.exit()
