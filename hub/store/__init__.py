"""The store: the tables, units of work, cases and the ledger in rows, and what is read of them."""
