from tests.exchange.conftest import hub, make

__all__ = ["hub", "make"]
