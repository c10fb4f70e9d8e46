"""One line for every expected failure, and an exit code by kind.

Exit codes are those of sysexits.h: 65 wrong data, 66 missing input, 70 internal, 73 cannot create,
78 configuration; 2 is a wrong command line.
"""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from tetrarch.errors import OperatorError, TetrarchError

EXIT_SOFTWARE = 70  # sysexits.h EX_SOFTWARE
EXIT_INTERRUPTED = 130  # as a shell reports SIGINT

P = ParamSpec("P")
R = TypeVar("R")


def run_command(command: Callable[P, R]) -> Callable[P, R]:
    """Decorate a command: expected errors become ``error: what, where, how to mend`` on stderr.

    Goes below ``@app.command()``. Anything unexpected keeps its traceback: it is a bug.
    """

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except TetrarchError as error:
            print(f"error: {one_line(error)}", file=sys.stderr)
            raise typer.Exit(exit_code_of(error)) from error
        except KeyboardInterrupt as error:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from error

    return wrapper


def exit_code_of(error: TetrarchError) -> int:
    """What the process exits with after ``error``."""
    return error.exit_code if isinstance(error, OperatorError) else EXIT_SOFTWARE


def one_line(error: BaseException) -> str:
    """The error's text with line breaks folded into spaces."""
    return " ".join(str(error).split())
