"""A season whose door, workers and scheduler are processes of their own, on one PostgreSQL."""

from hub.demo import run as demo
from hub.demo.supervise import Child, Children


class Apart(Children):
    """The simulators, a door that sends nothing, two workers and a scheduler."""

    def __enter__(self):
        settings, var = str(self._installation.settings_file), self._installation.var
        super().__enter__()
        self.hub.stop()
        self.hub = Child("hub", ["serve", "--door", "--settings", settings], var)
        self.others = [
            Child(name, [command, "--settings", settings], var)
            for name, command in (("worker1", "worker"), ("worker2", "worker"), ("scheduler", "scheduler"))
        ]
        return self

    def __exit__(self, *wrong):
        for one in self.others:
            one.stop()
        super().__exit__(*wrong)


def test_a_season_goes_through_a_door_two_workers_and_a_scheduler(tmp_path, migrated, monkeypatch):
    monkeypatch.setattr(demo, "Children", Apart)
    report = demo.run(pilgrims=20, var=tmp_path / "season", quiet=True, database_url=migrated)
    assert (report["lost"], report["doubled"], report["unexplained"]) == (0, 0, 0)
    assert report["exited"] > 0
