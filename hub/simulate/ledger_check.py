"""What the partners did, counted from their own ledger."""

from pathlib import Path
from typing import Any


def count(ledger: Path) -> dict[str, Any]:
    """What partners received, decided and said, by their own books.

    Effect keys and our keys are taken anew from the raw bytes received, by the manifests' ``effect`` places::

        {"received": 1234,                   calls and files taken in, resends included
         "turned_away": 12,                  of these, refused before anything was done (planned faults)
         "repeats": 34,                      lines told again under the same key, answered as before
         "effects": {"<partner>/<operation>": {"<outcome>": n}},
         "doubled": [{"partner", "operation", "effect", "keys": [our keys]}],
                                             an effect key that was decided again, under another of our keys, after
                                             it had taken effect (issued, printed, registered, confirmed, booked);
                                             ``effect`` is a fingerprint
         "sent": {"<partner>/<operation>": {"told": n, "acknowledged": n, "rejected": n}},
         "rejected": [{"partner", "operation", "number", "status"}],
                                             calls that the hub turned down for good (not planned by anyone)
         "suspense": [{"partner", "operation", "number", "kind"}],
                                             what was told on purpose so that it matches nothing the hub knows; one
                                             entry a line.  number: the call's or "<file name>:<line, from 1>";
                                             kind: unknown_bill | unknown_person
         "bad_files": [{"partner", "operation", "name", "kind"}],
                                             files broken on purpose, each followed by the right one:
                                             truncated | wrong_totals | duplicate
         "bills": {"<bill_no>": {"payer": "<agent>/<group>", "currency", "amount", "paid", "reversed", "settled",
                                 "refunded", "payments": n}},      amounts as text, told and acknowledged ones
         "travellers": {"<issuing state><document number>": {
             "applications": n,              distinct keys under which the ministry was asked
             "reference": "issued" | "refused" | "needs_data",      of the last one
             "reference_no": text | None,
             "visa": "printed" | "refused" | None, "visa_no": text | None,
             "movements": ["expected", "entered", …],   told by border posts in files the hub has collected, in order
             "stays": n}}}                   check-ins and check-outs told and acknowledged
    """
    raise NotImplementedError
