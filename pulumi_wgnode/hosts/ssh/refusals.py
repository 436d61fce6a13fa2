"""Why a host that let us in did not run our command, from what it printed instead. Pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from pulumi_wgnode.hosts.host import HostError, NoRoot, NoShell
from pulumi_wgnode.hosts.ssh.exchange import Outcome
from pulumi_wgnode.hosts.ssh.frame import Frame

_SUDO = re.compile(
    r"^sudo: .*|.*\bnot in the sudoers file\b.*|^Sorry, user .*|.*\bmay not run sudo\b.*|^env: \W*sudo\W*: .*",
    re.MULTILINE,
)
_NO_PROGRAM = re.compile(r"^wgnode: .*\b(?P<program>timeout|head): (?:Permission denied|not found)$", re.MULTILINE)
_ANY_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
_SHOWN = 400  # characters of what was printed


@dataclass(frozen=True)
class _Lead:
    """A text that tells the cause, what it is, and the way out; `{user}` is the user's name."""

    text: re.Pattern[str]
    cause: str
    remedy: str


_ALLOW = "add a line '{sudoer} ALL=(ALL) NOPASSWD: ALL' to its sudoers, or log in as root"
_SUDO_LEADS = (
    _Lead(re.compile(r"tty"), "may use sudo only on a terminal", "add 'Defaults:{sudoer} !requiretty' to its sudoers"),
    _Lead(
        re.compile(r"^env: "),
        "finds no sudo there",
        "install it (apt-get install sudo) and " + _ALLOW,
    ),
    _Lead(
        re.compile(r"setuid|nosuid|effective uid|no new privileges|owned by|writable"),
        "cannot use a sudo that is broken",
        "mend it on the host's console (`sudo -n true` as this user says the same), or log in as root",
    ),
    _Lead(
        re.compile(r"expired|account validation"),
        "may not use sudo: its account or password has expired",
        "see `chage -l {user}` there",
    ),
    _Lead(re.compile(r""), "may not use sudo without a password", _ALLOW),
)
_BASH = "give it a shell there: `usermod -s /bin/bash {user}`"
_SHELL_LEADS = (
    _Lead(re.compile(r"currently not available|nologin", re.I), "has nologin for a login shell", _BASH),
    _Lead(
        re.compile(r"git-shell|unrecognized command|Interactive git", re.I), "has git-shell for a login shell", _BASH
    ),
    _Lead(
        re.compile(r"password.*(?:expired|change)|change your password|account.*expired", re.I),
        "must change its password first, or has expired",
        "log in there once by hand, or see `chage -l {user}`",
    ),
    _Lead(
        re.compile(r"[Pp]lease login as the user"),
        "is refused by a forced command of its authorized_keys",
        "set host.user to the user that it names, or take that command out there",
    ),
    _Lead(
        re.compile(r"rbash|restricted", re.I),
        "has a restricted login shell",
        "`usermod -s /bin/bash {user}` there, or let its PATH have env, sudo and sh",
    ),
    _Lead(
        re.compile(r"Word too long|Unmatched|Illegal variable|Undefined variable|fish:", re.I),
        "has a login shell that is none of POSIX's",
        _BASH,
    ),
)
_GENERAL = (
    "has a login shell, start-up files or a forced command that do not come to our command",
    "it needs sh, bash, dash, zsh or the like (`getent passwd {user}` there), no `exit` in its .bashrc or"
    " /etc/profile.d for shells without a terminal, and no command= in its authorized_keys or ForceCommand in"
    " sshd_config that does not run $SSH_ORIGINAL_COMMAND",
)


def explain(name: str, user: str, sudo: bool, frame: Frame, outcome: Outcome) -> HostError:
    """The error of a command that never began, or whose outputs did not come as they were sent."""
    said = _said(outcome)
    if frame.number.encode() in outcome.out.others or _mixed(frame, outcome):
        return NoShell(
            f"host {name}: what passes between {user} and its commands is changed on the way (a terminal, or a forced"
            " command that joins both outputs); take the wrapper (ForceCommand in sshd_config, command= in"
            " authorized_keys) out of this user's way"
        )
    if sudo and (refusals := _SUDO.findall(said)):
        reasons = [line for line in refusals if "unable to resolve host" not in line] or refusals
        lead = next(lead for lead in _SUDO_LEADS if lead.text.search(reasons[-1]))  # warnings and lectures come first
        return _error(NoRoot, name, user, lead.cause, lead.remedy, _shown(reasons[-1]))
    for lead in _SHELL_LEADS:
        if lead.text.search(said):
            return _error(NoShell, name, user, lead.cause, lead.remedy, _shown(said))
    how = "" if outcome.status is None else f"exit code {outcome.status}, "
    printed = f"printed {_shown(said)!r}" if said else "printed nothing"
    return _error(NoShell, name, user, _GENERAL[0], _GENERAL[1], how + printed)


def no_program(name: str, user: str, err: bytes) -> HostError | None:
    """Where /bin/sh itself runs, but can start nothing; `err` is what it said of it."""
    said = err.decode(errors="replace").strip()
    if not (found := _NO_PROGRAM.search(said)):
        return None
    return NoRoot(
        f"host {name}: {user} can start no `{found['program']}` as root ({_shown(found.group())}); if sudo has NOEXEC"
        " for it, take that out of its sudoers; if the program is missing, `apt-get install coreutils` there"
    )


def eaten(name: str, user: str) -> HostError:
    return NoShell(
        f"host {name}: the start-up files of {user} read the input that is meant for our commands; make them leave at"
        " once where there is no terminal (`case $- in *i*) ;; *) return;; esac` at the top of its .bashrc)"
    )


def slow(name: str, user: str, outcome: Outcome, seconds: float) -> str:
    """What is known of a login shell that did not come to our command in time."""
    said = _said(outcome)
    printed = f"; it printed {_shown(said)!r}" if said else ""
    return (
        f"host {name}: the login shell of {user} did not come to our command within {seconds:g} s{printed}; look for"
        f" what waits in its start-up files (`ssh {name} true` does the same)"
    )


def _mixed(frame: Frame, outcome: Outcome) -> bool:
    return f"{frame.number}:err".encode() in outcome.out.own


def _said(outcome: Outcome) -> str:
    parts = [stream.others.decode(errors="replace") for stream in (outcome.err, outcome.out)]
    text = _ANY_COLOUR.sub("", "\n".join(part.strip() for part in parts if part.strip()))
    return "".join(sign for sign in text if sign.isprintable() or sign == "\n").strip()


def _shown(said: str) -> str:
    return said if len(said) <= _SHOWN else f"{said[: _SHOWN // 2]} ... {said[-_SHOWN // 2 :]}"


def _error(kind: type[HostError], name: str, user: str, cause: str, remedy: str, said: str) -> HostError:
    sudoer = re.sub(r"([\\@!=:,()])", r"\\\1", user)  # as sudoers(5) wants them
    if "." in user and "sudoers" in remedy:
        remedy += " (of /etc/sudoers.d, sudo reads no file that has a dot in its name)"
    words = {"user": shlex.quote(user), "sudoer": sudoer}
    return kind(f"host {name}: {user} {cause} ({said}); {remedy.format(**words)}")
