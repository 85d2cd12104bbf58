"""How `n3` reads its arguments: wrong usage costs one line, and help waits for no large library."""

import argparse
from pathlib import Path
from typing import Any, NoReturn

from n3lib.io import N3Error, expand, printable, read_json, tell


class Parser(argparse.ArgumentParser):
    """The parser of `n3` or of a subcommand; whether its help `lists_settings` of the configuration."""

    lists_settings = False

    def __init__(self, **settings: Any) -> None:
        # No abbreviations: `n3 train` passes on what it does not know, such as --data.root.
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **settings)
        # Without a default: that of a subcommand would undo a --debug before it.
        text = "show the traceback of an error"
        self.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=text)

    def error(self, message: str) -> NoReturn:
        """End with one line and exit code 2."""
        self.exit(2, f"n3: {printable(message)}. See {self.prog} --help.\n")

    def format_help(self) -> str:
        """The help; the settings are looked up only when it is asked for."""
        text = super().format_help()
        if self.lists_settings:
            from n3lib.config import settings

            text += "\nsettings and their defaults:\n" + "".join(f"  {line}\n" for line in settings())
        return text

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


def build_parser() -> Parser:
    """The parser of `n3` and of the subcommands that `commands.json` describes.

    What it says of an argument is what `add_argument` takes. Arguments of several commands are there once; a
    command may add to them. `call` is the function below `n3lib` that takes them. `resumes` says that a
    command goes on where it stopped, `overrides` that it takes settings of the configuration, such as
    `--train.steps=9`.
    """
    table = read_json(Path(__file__).with_name("commands.json"))
    parser = Parser(prog="n3", description="Written descriptions in, neural network out.")
    text = "show the version and end"
    parser.add_argument("--version", action=Version, nargs=0, default=argparse.SUPPRESS, help=text)
    groups = {"": parser.add_subparsers(dest="command", required=True, metavar="COMMAND")}
    for name, command in table["commands"].items():
        group, _, last = name.rpartition(" ")
        text, resumes, overrides = (command.get(key) for key in ("help", "resumes", "overrides"))
        example = f"example:\n  {command['example']}"
        if overrides and name != "train":
            example += "\n\nany setting can be overridden, as in n3 train"
        sub = groups[group].add_parser(last, help=text, description=text, epilog=example)
        if "arguments" not in command:
            groups[name] = sub.add_subparsers(dest="action", required=True, metavar="ACTION")
            continue
        call = command.get("call", f"cli.commands:_{name.replace(' ', '_')}")
        sub.set_defaults(call=call, resumes=resumes, overrides=overrides)
        for flags, own in command["arguments"].items():
            settings = table["arguments"].get(flags, {}) | own
            if kind := settings.get("type"):
                settings["type"] = {"path": expand, "int": int}[kind]
            sub.add_argument(*flags.split(), **settings)
        sub.lists_settings = name == "train"
    return parser
