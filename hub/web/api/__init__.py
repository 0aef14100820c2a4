"""The JSON doors: :mod:`desk` for agents, companies and the health authority, :mod:`bodies` for partners that call us,
:mod:`operations` and :mod:`replays` for whoever runs the hub."""
