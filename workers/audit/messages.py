"""What the audit says: a rule, whether it is broken or unknown, and what to write instead."""

from dataclasses import dataclass

CHAPTERS = {
    1: "docs/1-broker-memory.md",
    2: "docs/2-locks.md",
    3: "docs/3-separate-queues.md",
    4: "docs/4-concurrency.md",
    5: "docs/5-expires.md",
    6: "docs/6-progress.md",
    7: "docs/7-timing.md",
    8: "docs/8-backlog.md",
    9: "docs/9-memory.md",
}
SHOWN = 4  # names in a list; the rest is a number


@dataclass(frozen=True)
class Message:
    """rule: that of a system check, or AUD and a number for one that only the audit has.

    is_known: False if the project's files do not tell. fault: what is wrong, or why nobody can tell. hint: what to
    write.
    """

    rule: str
    fault: str
    hint: str
    is_known: bool = True

    @property
    def practice(self) -> int:
        return int(self.rule[-3])

    @property
    def page(self) -> str:
        """The paragraph about the rule, from the root of this repository."""
        anchor = self.rule.removeprefix("practices.").lower()
        return f"{CHAPTERS[self.practice] if self.rule.startswith('practices.') else 'docs/lift.md'}#{anchor}"


def unknown(rule: str, fault: str, hint: str) -> Message:
    return Message(rule, fault, hint, is_known=False)


def listed(names: set[str] | list[str]) -> str:
    """The first names in order, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(ordered[:SHOWN]) + more
