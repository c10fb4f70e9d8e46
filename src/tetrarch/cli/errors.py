"""One line for every expected failure, and an exit code by kind.

Exit codes are those of sysexits.h: 65 wrong data, 66 missing input, 69 not available, 70 a bug,
73 cannot create, 74 disk, 78 configuration; 2 is a wrong command line. The table for operators
is docs/reference/exit-codes.md.
"""

import functools
import os
import sys
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from tetrarch.errors import InvariantBroken, OperatorError, TetrarchError
from tetrarch.supervision import sole_cause

EXIT_SOFTWARE = 70  # sysexits.h EX_SOFTWARE
EXIT_INTERRUPTED = 130  # as a shell reports SIGINT
EXIT_BROKEN_PIPE = 141  # as a shell reports SIGPIPE
# What ends a command in typer's own way.
_TYPER_ENDINGS = (typer.Exit, typer.Abort, typer.BadParameter)

P = ParamSpec("P")
R = TypeVar("R")


def run_command(command: Callable[P, R]) -> Callable[P, R]:
    """Decorate a command: expected errors become ``error: what, where, how to mend`` on stderr.

    Goes below ``@app.command()``. Anything else is a bug: the traceback goes to stderr, where a
    node's log goes too, then one line, and the exit code is 70.
    """

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except _TYPER_ENDINGS:
            raise
        except BrokenPipeError as error:  # whoever read our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(EXIT_BROKEN_PIPE) from error
        except KeyboardInterrupt as error:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except (Exception, BaseExceptionGroup, InvariantBroken) as error:
            raise typer.Exit(report(error)) from error

    return wrapper


def report(error: BaseException) -> int:
    """Tell ``error`` on stderr; returns the exit code that belongs to it."""
    cause = sole_cause(error)
    if isinstance(cause, TetrarchError):
        # Any other family should have been dealt with where it was raised.
        mend = "" if isinstance(cause, OperatorError) else "; try again, and report it if it stays"
        print(f"error: {one_line(cause)}{mend}", file=sys.stderr)
        return exit_code_of(cause)
    traceback.print_exception(error, file=sys.stderr)
    kind = "broken invariant" if isinstance(cause, InvariantBroken) else type(cause).__name__
    print(
        f"error: run command: bug ({kind}: {one_line(cause)}); "
        "report the traceback above; nothing stored was lost",
        file=sys.stderr,
    )
    return EXIT_SOFTWARE


def exit_code_of(error: TetrarchError) -> int:
    """What the process exits with after ``error``."""
    return error.exit_code if isinstance(error, OperatorError) else EXIT_SOFTWARE


def one_line(error: BaseException) -> str:
    """The error's text with line breaks folded into spaces."""
    return " ".join(str(error).split())
