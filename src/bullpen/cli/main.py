"""The ``bullpen`` command: groups, errors and exit statuses. Commands are files in ``commands/``, loaded when asked for."""

import json
import sys
from typing import Any

import click

from bullpen import __version__
from bullpen.domain.errors import BullpenError, NotFound
from bullpen.kernel.extend import ExtensionPoint

COMMANDS: ExtensionPoint[click.Command] = ExtensionPoint("bullpen.cli.commands", "COMMAND")
INTERRUPTED = 130  # as a shell reports SIGINT


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
    try:
        status = command.main(standalone_mode=False)
    except click.exceptions.Abort:
        status = _say("Stopped. Nothing is lost.", "", "interrupted", INTERRUPTED)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except BullpenError as error:
        status = _say(error.sentence, error.remedy, error.code, error.exit_status)
    except KeyboardInterrupt:
        status = _say("Stopped. Nothing is lost.", "", "interrupted", INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _say(sentence: str, remedy: str, code: str, status: int) -> int:
    if "--json" in sys.argv[1:]:
        problem: dict[str, Any] = {"error": code, "sentence": sentence, "remedy": remedy}
        click.echo(json.dumps(problem), err=True)
    else:
        click.echo(f"bullpen: {sentence}", err=True)
        if remedy:
            click.echo(f"  {remedy}", err=True)
    return status
