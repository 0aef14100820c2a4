"""The agent's own page: a template to fill, a place to drop files and photos, and what became of each row."""
