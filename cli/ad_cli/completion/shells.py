"""How bash, zsh and fish ask what may come next, and how they are told."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ad_cli.completion.words import Offered
    from ad_cli.tree import Command

VARIABLE = "_ADCTL_COMPLETE"  # names the shell that asks

# Nothing offered means file names. A setting's "name=" is followed by a value, so by no space.
BASH = """\
_adctl_completion() {
    local IFS=$'\\n'
    COMPREPLY=( $( _ADCTL_COMPLETE=bash _ADCTL_LINE="${COMP_LINE:0:COMP_POINT}" \\
        _ADCTL_CURRENT="${COMP_WORDS[COMP_CWORD]}" "$1" 2>/dev/null ) )
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _adctl_completion adctl
"""
ZSH = """\
#compdef adctl
_adctl() {
    local line typed="${(j: :)words[1,CURRENT]}"
    local -a ended open
    for line in "${(@f)$(_ADCTL_COMPLETE=zsh _ADCTL_LINE="$typed" ${words[1]} 2>/dev/null)}"; do
        [[ -z $line ]] && continue
        if [[ ${line%%:*} == *= ]]; then open+=("$line"); else ended+=("$line"); fi
    done
    if (( ! ${#ended} && ! ${#open} )); then _files; return; fi
    (( ${#open} )) && _describe -V adctl open -S ''
    (( ${#ended} )) && _describe -V adctl ended
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _adctl "$@"; else compdef _adctl adctl; fi
"""
FISH = """\
function __adctl_complete
    set -l line (string join ' ' -- (commandline -opc | string escape) (commandline -ct))
    set -l found (env _ADCTL_COMPLETE=fish _ADCTL_LINE="$line" (commandline -opc)[1] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c adctl -f -a '(__adctl_complete)'
"""


def bash_line(one: Offered, typed_before: str) -> str:
    """Return a word as bash wants it: without what stands before the last sign that bash breaks words at."""
    return one.text.removeprefix(typed_before)


def zsh_line(one: Offered, typed_before: str) -> str:
    """Return a word and what it stands for, as _describe wants them."""
    words = " ".join(one.words.split())
    return one.text.replace("\\", "\\\\").replace(":", "\\:") + (f":{words}" if words else "")


def fish_line(one: Offered, typed_before: str) -> str:
    """Return a word and what it stands for, as fish wants them."""
    words = " ".join(one.words.split())
    return f"{one.text}\t{words}" if words else one.text


@dataclass(frozen=True)
class Shell:
    """A shell: its script, how it is told, and where it looks for the script."""

    script: str
    line: Callable[[Offered, str], str]
    file: str  # below the home folder
    rc: str = ""  # a file that must name the script
    rc_lines: str = ""


SHELLS = {
    "bash": Shell(BASH, bash_line, ".bash_completions/adctl.sh", ".bashrc", ". ~/.bash_completions/adctl.sh"),
    "zsh": Shell(
        ZSH, zsh_line, ".zfunc/_adctl", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"
    ),
    "fish": Shell(FISH, fish_line, ".config/fish/completions/adctl.fish"),
}


def answer(root: Callable[[], Command], environ: Mapping[str, str]) -> None:
    """Print what may come next, for the shell that asks; nothing at all where anything is in the way."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    try:
        lines = _lines(root(), environ)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except Exception:  # noqa: BLE001, S110 - the outermost edge: a person is in the middle of typing
        pass


def _lines(root: Command, environ: Mapping[str, str]) -> list[str]:
    from ad_cli.completion.words import offers

    shell = SHELLS[environ[VARIABLE]]
    typed, incomplete = _split(environ.get("_ADCTL_LINE", ""))
    current = environ.get("_ADCTL_CURRENT", incomplete)
    # Where the cursor follows a sign such as "=", that sign is bash's current word, and it stays.
    current = "" if len(current) == 1 and current in "=:@" else current
    before = incomplete[: len(incomplete) - len(current)] if incomplete.endswith(current) else ""
    return [shell.line(one, before) for one in offers(root, typed, incomplete)]


def _split(line: str) -> tuple[list[str], str]:
    """Return the whole words after the program's name, and the one that is being typed, "" after a space."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="")
    reader.whitespace_split, reader.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(reader)
    except ValueError:  # a quote is still open
        words.append(reader.token.lstrip("\"'"))
    if not words or line[-1:].isspace():
        words.append("")
    return words[1:-1], words[-1]


def script(name: str) -> str:
    """Return the script of a shell."""
    return SHELLS[name].script


def install(name: str, home: Path) -> Path:
    """Write the script where the shell finds it, and return that place; called again it changes nothing."""
    shell = SHELLS[name]
    file = home / shell.file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(shell.script, encoding="utf-8")
    if shell.rc:
        rc = home / shell.rc
        before = rc.read_text(encoding="utf-8") if rc.is_file() else ""
        if shell.rc_lines not in before.splitlines():
            gap = "\n" if before and not before.endswith("\n") else ""
            rc.write_text(f"{before}{gap}{shell.rc_lines}\n", encoding="utf-8")
    return file


def of_this_person(environ: Mapping[str, str]) -> str:
    """Return the shell of whoever calls: the one that runs adctl, else their login shell, "" if unknown."""
    import psutil

    try:
        names: Sequence[str] = [one.name().lstrip("-") for one in psutil.Process().parents()]
    except psutil.Error:
        names = []
    return next((name for name in [*names, Path(environ.get("SHELL", "")).name] if name in SHELLS), "")
