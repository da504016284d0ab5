"""The ``bullpen`` command: groups, errors and exit statuses. Commands are files in ``commands/``, loaded when asked for."""

import io
import sys

import click

from bullpen import __version__
from bullpen.cli.failing import Failure, known_failure, tell, unknown_failure
from bullpen.domain.errors import NotFound
from bullpen.kernel.extend import ExtensionPoint

COMMANDS: ExtensionPoint[click.Command] = ExtensionPoint("bullpen.cli.commands", "COMMAND")
_STOPPED = Failure("interrupted", "Stopped.", "", 130)


class Commands(click.Group):
    """A group whose commands are files; ``--help`` reads their first lines and loads none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS.names())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        try:
            return COMMANDS.load(cmd_name)
        except NotFound:
            return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS.summary(name)) for name in self.list_commands(ctx)])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="bullpen")
def command() -> None:
    """Teams of software-engineering agents for your repository.

    Start with `bullpen improve PATH`: no key, no account, no server.
    """


def main() -> None:
    """Run the command line; every error a person can meet is one sentence and what to do next."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name the terminal cannot show is no reason to stop
    sys.exit(_run(sys.argv[1:]))


def _run(argv: list[str]) -> int:
    as_json = "--json" in argv
    try:
        status = command.main(argv, prog_name="bullpen", standalone_mode=False)
    except click.exceptions.Abort:
        return tell(_STOPPED, as_json=as_json)
    except click.ClickException as error:
        return _usage(error, as_json=as_json)
    except BrokenPipeError:
        return _hung_up()
    except BaseException as error:  # the one boundary: whatever it is, no traceback reaches a person
        if isinstance(error, SystemExit):
            raise
        stopped = _STOPPED if isinstance(error, KeyboardInterrupt) else None
        return tell(stopped or known_failure(error) or unknown_failure(error, argv), as_json=as_json)
    return status if isinstance(status, int) else 0


def _usage(error: click.ClickException, *, as_json: bool) -> int:
    if not as_json:
        error.show()
        return error.exit_code
    return tell(Failure("usage", error.format_message(), "See --help.", error.exit_code), as_json=True)


def _hung_up() -> int:
    """The reader of our output is gone, as with ``| head``: no reason to complain, also not when Python ends."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    main()
