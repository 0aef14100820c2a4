"""The sandbox: beside each partner stands a twin that is simulated, and an agent in test mode meets twins only.

A twin is a partner in test mode of its own: its exchanges, its numbers, its folders and its slots are not those of the
partner.  It signs with the sandbox's secret, so that nothing simulated can speak for anybody real.  There are twins
where the installation sets ``SIMULATED_SECRET``; without them a test finds nobody to go to, and goes nowhere.
"""

from collections.abc import Mapping
from dataclasses import replace

from hub.partners.partner import TWIN, Partner
from hub.settings import Settings

SECRET = "SIMULATED_SECRET"  # noqa: S105  the setting's name


def twin_of(id: str) -> str:
    """What the twin of partner (or schedule) *id* is called."""
    return TWIN + id


def own_of(id: str) -> str:
    """The partner whose twin *id* is; *id* itself where it is no twin's."""
    return id.removeprefix(TWIN)


def is_twin(id: str) -> bool:
    return id.startswith(TWIN)


def with_twins(partners: Mapping[str, Partner], settings: Settings) -> Mapping[str, Partner]:
    """*partners* and, where this installation has a sandbox, the twins of those who act on pilgrims."""
    if SECRET not in settings.secrets:
        return partners
    twins = {
        twin_of(one.id): replace(
            one,
            id=twin_of(one.id),
            mode="test",
            signed_with=f"${{{SECRET}}}" if one.signed_with else None,
        )
        for one in partners.values()
        if one.enabled and one.role in ("body", "company") and not is_twin(one.id)
    }
    return {**partners, **twins}
