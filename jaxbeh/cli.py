"""The command line: one function a command, errors as messages, never a bare traceback."""

import io
import sys
from collections.abc import Callable
from typing import Any

import typer

from jaxbeh import __version__
from jaxbeh.bundle import bundle
from jaxbeh.compare import compare
from jaxbeh.console import err, out
from jaxbeh.doctor import doctor
from jaxbeh.errors import JaxbehError
from jaxbeh.evaluate import evaluate
from jaxbeh.score import score
from jaxbeh.synthesize import synthesize
from jaxbeh.train import train
from jaxbeh.validate_submission import validate_submission

_LOOK: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 100},
}


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"jaxbeh {__version__}")
        raise typer.Exit


def _about(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Behaviour bouts from animal pose tracking: who did what to whom, with JAX and Flax."""
    del version


def _application(commands: list[Callable[..., None]]) -> typer.Typer:
    application = typer.Typer(no_args_is_help=True, **_LOOK)
    if len(commands) > 1:
        application.callback()(_about)
    for command in commands:
        application.command()(command)
    return application


def _call(application: typer.Typer) -> None:
    for stream in (sys.stdout, sys.stderr):
        # A file's name may have letters that a terminal, or any text, does not: show their numbers.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        application()
    except (JaxbehError, OSError) as error:  # an OSError names its file, such as a full disk's
        err.print(f"jaxbeh: {error}")
        sys.exit(1)


def run_command(command: Callable[..., None]) -> None:
    """Run one command with the process's own arguments; `python -m jaxbeh.train` comes here."""
    _call(_application([command]))


def main() -> None:
    """Run `jaxbeh COMMAND …`."""
    _call(
        _application(
            [train, evaluate, validate_submission, score, compare, doctor, synthesize, bundle]
        )
    )
