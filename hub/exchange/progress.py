"""How far a file has come, told in the commits that bring it there."""

from dataclasses import dataclass
from uuid import UUID

from hub.store.database import Transaction
from hub.store.files_in import FilesIn, RejectedRow
from hub.store.ledger import Moment


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of one file that is being read."""

    files: FilesIn
    file: UUID

    def rows(self, tx: Transaction, read: int, accepted: int, rejected: int) -> None:
        """So many rows were read, of which the cases took, and gave back, so many."""
        self.files.progress(tx, self.file, read, accepted, rejected)

    def rejected(self, tx: Transaction, at: Moment, rows: list[RejectedRow], *, first: bool) -> None:
        """What stands against *rows* of those that were just read; *first* are the file's first."""
        self.files.reject(tx, at, self.file, rows, first=first)

    def given_back(self, tx: Transaction, exchange: UUID) -> None:
        """The rows go back to their sender in *exchange*."""
        self.files.given_back(tx, self.file, exchange)
