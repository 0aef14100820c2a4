"""The canonical model: the one language spoken inside the hub.  It knows no partner, no protocol and no database."""
