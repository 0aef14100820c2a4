"""The partners, played: a process of its own that answers the hub as ministry, banks, houses, carriers and posts would.

It reads the same manifests, contracts and maps as the hub and shares nothing else with it: its own ledger, its own
decisions, its own sequence numbers.  ``process.run(settings, var, seed, faults, port)`` serves until it is stopped and
may be killed at any moment; started again with the same *var*, *seed* and *faults* it goes on where it was.

What it keeps
    ``<var>/simulators.db`` (SQLite): every byte received, before it was understood (``received``); every decision,
    under the effect key and our key found in those bytes by the manifest's ``effect`` places (``effect``); everything
    said to the hub, until the hub has acknowledged it (``sent``); what is still to be done (``agenda``).

What it serves (everything on one port)
    ``POST`` below each partner's endpoint path; ``GET <soap endpoint>?wsdl`` and its schemas; ``GET /_status``::

        {"pending": 0,               things it will still do at the present business time
         "next": iso | null,         the next business moment at which it will do something by itself
         "uncollected": 0,           files it wrote that the hub has not collected
         "business": iso}            it has acted on everything due up to here

What it reads
    ``<var>/plan.json``, re-read when it changes::

        {"travellers": {"<issuing state><document number>": {
             "fate": one of FATES, "port": "JED", "post": "post_jed", "carrier": "SV123",
             "enters_at": iso,        the moment of the (first) real crossing
             "exits_at": iso | null,  exit or deportation; of the deceased: from when nothing more is told of them
             "exit_post": "post_med", "exit_port": "MED",      where that is, if not where they entered
             "told_at": iso | null}}  late_exit_file: when the exit is written (default: exits_at + 4 days)
         "payers": {"<agent id>/<agent's group_no>": {
             "pays": one of PAYS,
             "at": iso | null}}}      late: when the bank tells of it (default: a day after the bill expires)

    A traveller who is not in the plan is never seen at a border; a bill whose payer is not in it is paid in full.

When it acts
    On what it receives: within fractions of a wall second.  By itself: 06:00Z stays and trips (a check-in on the
    morning after, a check-out and a leg on its own day, the leg of the day of entry on the morning after), 18:00Z
    border files and settlements (for what happened since the last one).  A post or bank with nothing to tell writes
    no file that day; its numbers have no gap.

What happened, for whoever checks the hub against it: :func:`hub.simulate.ledger_check.count`.
"""

from hub.simulate.plan import FATES, PAYS

__all__ = ["FATES", "PAYS"]
