"""The hub's doors on HTTP: the API of agents, companies and partners, and the pages that people look at."""
