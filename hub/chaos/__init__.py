"""Chaos: a season while everything that can die does, and an account of it by somebody who trusts nobody.

``hub chaos`` runs several kinds of process and kills them.  :mod:`run` is the nemesis and keeps the plan;
:mod:`nursery` starts the others and reaps them; :mod:`client` is the agents' and companies' side and writes down,
fsynced, what it meant to ask and what it was told; :mod:`proxy` stands between the hub and its partners as a network
that misbehaves; :mod:`checker` holds all of their books against the hub's public doors, and imports nothing of the hub.

Nothing of this is known to the hub.  What :mod:`boundary` watches (commits, statements, sockets, renames, fsyncs) it
watches from below, in the child process only, and what :mod:`plants` breaks on purpose it breaks there too.
"""
