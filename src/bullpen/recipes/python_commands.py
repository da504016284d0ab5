"""Commands started without a shell."""

import re

import libcst as cst

from bullpen.domain.change import Applicability
from bullpen.recipes._python_edit import Patch, argument, has_star, replace, rewriting, without_argument
from bullpen.recipes._python_file import Import, PythonFile
from bullpen.recipes.base import Codemod

RUNNERS = frozenset(f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "Popen"))
PLAIN = re.compile(r"[A-Za-z0-9_./:=,@%+-]+")
# Words that only a shell understands, and programs that a shell has its own version of.
SHELL_WORDS = re.compile(
    r"\.|:|alias|bg|break|case|cd|command|continue|declare|dir|echo|eval|exec|exit|export|fg|for|function|"
    r"getopts|hash|help|history|if|jobs|let|local|printf|pwd|read|readonly|return|select|set|shift|source|"
    r"test|time|times|trap|type|typeset|ulimit|umask|unalias|unset|until|wait|while|cls|copy|del|move|ren|"
    r"start|ver|vol|kill|true|false"
)


def words_of(string: cst.BaseExpression) -> list[str]:
    """The words of a constant command that a shell would only split at blanks; empty if it would do more."""
    if not isinstance(string, cst.SimpleString) or string.prefix or len(string.quote) != 1:
        return []
    words = string.raw_value.split()
    plain = words and all(PLAIN.fullmatch(word) for word in words) and string.raw_value.isprintable()
    return words if plain and not SHELL_WORDS.fullmatch(words[0]) and "=" not in words[0] else []


def as_list(string: cst.BaseExpression) -> str:
    """The command as a list display, in the quotes it had; empty if it needs a shell."""
    quote = string.quote if isinstance(string, cst.SimpleString) else '"'
    words = words_of(string)
    return f"[{', '.join(f'{quote}{word}{quote}' for word in words)}]" if words else ""


def without_shell(file: PythonFile, call: cst.Call) -> Patch | None:
    """``run("a b", shell=True)`` becomes ``run(["a", "b"])``."""
    if file.name(call) not in RUNNERS or has_star(call) or file.has_comment(call):
        return None
    command, shell = argument(call, "args", 0), argument(call, "shell")
    if command is None or shell is None or argument(call, "executable") is not None:
        return None
    words = as_list(command.value)
    if not words or not isinstance(shell.value, cst.Name) or shell.value.value != "True":
        return None
    return Patch((replace(file, command.value, words), without_argument(file, call, shell)))


def without_system(file: PythonFile, call: cst.Call) -> Patch | None:
    """``os.system("a b")`` as a statement becomes ``subprocess.run(["a", "b"], check=False)``."""
    statement = file.parent(call)
    if file.name(call) != "os.system" or not isinstance(statement, cst.Expr) or len(call.args) != 1:
        return None
    wanted = Import("subprocess")
    module, words = file.local_name(wanted), as_list(call.args[0].value)
    if module is None or not words or call.args[0].star or file.has_comment(call):
        return None
    return Patch((replace(file, call, f"{module}.run({words}, check=False)"),), (wanted,))


RECIPES = (
    Codemod(
        name="subprocess-argument-list",
        fixes=("ruff:S602", "ruff:S604"),
        applicability=Applicability.UNSAFE,
        summary="Start the program without a shell.",
        why="A shell between us and the program reads the command as a language; a list of arguments is only data.",
        source="https://docs.python.org/3/library/subprocess.html#security-considerations",
        rewrite=rewriting(cst.Call, without_shell),
    ),
    Codemod(
        name="os-system-argument-list",
        fixes=("ruff:S605",),
        applicability=Applicability.UNSAFE,
        summary="Start the program with subprocess instead of os.system.",
        why="os.system hands its text to a shell; a list of arguments is only data.",
        source="https://docs.astral.sh/ruff/rules/start-process-with-a-shell/",
        rewrite=rewriting(cst.Call, without_system),
    ),
)
