"""A Celery fleet that carries tickets: ``drain(partner)``, "this partner has work, whoever is free may look"."""
