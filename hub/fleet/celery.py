"""What ``celery -A hub.fleet worker`` runs, set up as every other process of this installation is."""

from hub.fleet.tickets import fleet
from hub.settings import load

app = fleet(load())
