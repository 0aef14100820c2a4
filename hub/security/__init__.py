"""Keys, sealing, signatures, hardened parsing and redaction.  No tables here: the store keeps, this protects."""
