"""An adapter held against the rules and against what it claims of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from hub.conformance.rules import RULES, TIERS, Rule
from hub.conformance.subject import Finding, Subject
from hub.partners.documents import Fault as _Fault
from hub.partners.documents import did_you_mean, read
from hub.partners.sources import sources
from hub.settings import Settings

FILE = "quality.yaml"
#: Words of a reason below which it is none.
FEWEST_WORDS = 3
State = Literal["kept", "broken", "exempt"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one rule.  ``claim`` is what quality.yaml says (done, todo, exempt), ``why`` its reason."""

    rule: Rule
    state: State
    claim: str
    findings: tuple[Finding, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What an adapter is.  ``tier`` is None below bronze; ``wrong`` is what is false in quality.yaml."""

    adapter: str
    tier: str | None
    verdicts: tuple[Verdict, ...]
    wrong: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether it may ship: the first tier, and nothing claimed that is not so."""
        return self.tier is not None and not self.wrong

    @property
    def next(self) -> tuple[str, tuple[Verdict, ...]] | None:
        """The next tier, and what it still asks for; None at the top."""
        at = 0 if self.tier is None else TIERS.index(self.tier) + 1
        if at == len(TIERS):
            return None
        return TIERS[at], tuple(v for v in self.verdicts if v.rule.tier == TIERS[at] and v.state == "broken")


def check(settings: Settings, adapter: str, *, laws: int = 50, rules: Sequence[Rule] = RULES) -> Report:
    """Try *adapter* by every rule; each map's laws are tried with *laws* messages.

    Raises KeyError for an adapter that there is not.
    """
    subject = Subject.of(settings, adapter, laws)
    claims, wrong = _claims(subject, rules)
    verdicts = []
    for rule in rules:
        claim, why = claims.get(rule.name, ("todo", ""))
        if subject.adapter is None and not rule.before:
            findings: tuple[Finding, ...] = (subject.told("cannot be looked at before the manifest loads"),)
        else:
            findings = tuple(dict.fromkeys(rule.broken(subject)))
        if findings and claim == "exempt":
            state: State = "exempt"
        else:
            state = "broken" if findings else "kept"
        if findings and claim == "done":
            wrong.append(_finding(subject, f"says that '{rule.name}' is done, and it is not: {findings[0].text}"))
        verdicts.append(Verdict(rule, state, claim, findings, why))
    tier = None
    for name in TIERS:
        if any(v.state == "broken" for v in verdicts if v.rule.tier == name):
            break
        tier = name
    return Report(adapter, tier, tuple(verdicts), tuple(wrong))


def every(settings: Settings) -> list[str]:
    """The ids of all adapters, drafts too, in every source."""
    found = sources(settings, [])
    paths = (path for one in found for path in one.folder.glob("adapters/*/*/adapter.yaml"))
    return sorted({f"{path.parent.parent.name}/{path.parent.name}" for path in paths})


def recorded(report: Report) -> str:
    """The quality.yaml that says what *report* found, reasons kept."""
    lines = ["# What this adapter keeps of the quality scale (docs/adding-a-partner.md): done, todo, or {exempt: WHY}."]
    for verdict in report.verdicts:
        if verdict.state == "exempt":
            said = yaml.safe_dump({"exempt": verdict.why}, default_flow_style=True, allow_unicode=True, width=10_000)
            lines.append(f"{verdict.rule.name}: {said.strip()}")
        else:
            lines.append(f"{verdict.rule.name}: {'done' if verdict.state == 'kept' else 'todo'}")
    return "\n".join(lines) + "\n"


def quality_file(settings: Settings, adapter: str) -> Path:
    """Where *adapter* makes its claims.  Raises KeyError for an adapter that there is not."""
    return Subject.of(settings, adapter, 0).folder / FILE


def _claims(subject: Subject, rules: Sequence[Rule]) -> tuple[dict[str, tuple[str, str]], list[Finding]]:
    """What quality.yaml says of each rule, and what is wrong with how it says it."""
    path = subject.folder / FILE
    shown = f"{subject.manifest.rpartition('/')[0]}/{FILE}"
    if not path.is_file():
        return {}, [Finding(shown, 0, "is not there: `hub adapter check --record` writes it")]
    broken: list[_Fault] = []
    document = read(path, shown, broken)
    wrong = [Finding(one.path, one.line, one.text) for one in broken]
    if document is None or not isinstance(document.data, dict):
        return {}, wrong or [Finding(shown, 1, "must be a table of rules: done, todo, or {exempt: WHY}")]
    known = {rule.name: rule for rule in rules}
    claims = {}
    for name, said in document.data.items():
        line = document.lines[(name,)]
        rule = known.get(name)
        if rule is None:
            wrong.append(Finding(shown, line, f"there is no rule '{name}'{did_you_mean(name, known)}"))
        elif said in ("done", "todo"):
            claims[name] = (said, "")
        elif not isinstance(said, Mapping) or list(said) != ["exempt"]:
            wrong.append(Finding(shown, line, f"'{name}' is done, todo, or {{exempt: WHY}}"))
        elif not rule.may_be_exempt:
            wrong.append(Finding(shown, line, f"nobody can be exempt from '{name}'"))
        elif not isinstance(said["exempt"], str) or len(said["exempt"].split()) < FEWEST_WORDS:
            wrong.append(Finding(shown, line, f"'{name}': say why, in words that somebody else understands"))
        else:
            claims[name] = ("exempt", said["exempt"])
    for name in known:
        if name not in document.data:
            wrong.append(Finding(shown, 1, f"does not say how '{name}' stands: done, todo, or {{exempt: WHY}}"))
    return claims, wrong


def _finding(subject: Subject, text: str) -> Finding:
    return Finding(f"{subject.manifest.rpartition('/')[0]}/{FILE}", 1, text)
