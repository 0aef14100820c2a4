"""What a programme must hold: every night housed, every leg carried, insured, received, with tickets in and out."""

from collections.abc import Iterator
from datetime import timedelta

from hub.canonical.entities import HousingLine, Passage, Programme, TransportLine
from hub.journey.rules import Season

_DAY = timedelta(days=1)


def check_programme(programme: Programme, heads: int, season: Season) -> list[tuple[str, str | None]]:
    """Everything that *programme* lacks for *heads* pilgrims, as (code of the error catalogue, programme line or None).

    The nights between arrival and departure are each covered by licensed housing for all heads, once; inland legs
    lead from the arrival port's city from house to house to the departure port's city; the insurance covers all
    days; the season's ground services are there, and a ticket in and one out.  An empty list: nothing is missing.
    """
    arrival, departure = programme.arrival, programme.departure
    if departure.on < arrival.on:
        return [("programme_dates", None)]
    services = {service.kind for service in programme.services}
    return [
        *_season(programme, season),
        *_housing(programme, heads, season),
        *_legs(programme, heads, season),
        *_insurance(programme),
        *(("ground_service_missing", None) for kind in season.services if kind not in services),
        *_ticket(arrival, "arrival"),
        *_ticket(departure, "departure"),
    ]  # fmt: skip


def _season(programme: Programme, season: Season) -> Iterator[tuple[str, str | None]]:
    if programme.arrival.on > season.last_entry or programme.departure.on > season.last_exit:
        yield "season_closed", None
    if (programme.departure.on - programme.arrival.on).days > season.stay_days:
        yield "stay_too_long", None


def _housing(programme: Programme, heads: int, season: Season) -> Iterator[tuple[str, str | None]]:
    arrives, leaves = programme.arrival.on, programme.departure.on
    lines = _in_order(programme)
    for line in lines:
        if not season.licence.fullmatch(line.licence):
            yield "housing_unlicensed", line.line
        if not arrives <= line.check_in < line.check_out <= leaves:
            yield "housing_dates", line.line
    night, uncovered = arrives, False
    while night < leaves:
        here = [line for line in lines if line.check_in <= night < line.check_out]
        if sum(line.heads for line in here) < heads:
            uncovered = True
        elif len(here) > 1 and max(line.heads for line in here) >= heads:
            # Several houses may share a group out; a second one beside one that holds all is a mistake.
            yield "night_overlap", here[-1].line
            break
        night += _DAY
    if uncovered:
        yield "night_uncovered", None


def _in_order(programme: Programme) -> list[HousingLine]:
    return sorted(programme.housing, key=lambda line: (line.check_in, line.check_out))


def _legs(programme: Programme, heads: int, season: Season) -> Iterator[tuple[str, str | None]]:
    """Legs may make detours, but must join.  A port that lies in no city of the pilgrimage needs no inland leg, and
    the first leg may then begin anywhere."""
    cities = [line.city for line in _in_order(programme)]
    ports = season.ports.get(programme.arrival.port), season.ports.get(programme.departure.port)
    stops = [stop for stop in (ports[0], *cities, ports[1]) if stop is not None]
    legs: list[tuple[TransportLine, int]] = []
    for leg in sorted(programme.transport, key=lambda leg: leg.departs_on):
        if not programme.arrival.on <= leg.departs_on <= programme.departure.on:
            yield "leg_dates", leg.line
        # Two vehicles on the same way on the same day are one leg.
        if legs and _way(legs[-1][0]) == _way(leg):
            legs[-1] = leg, legs[-1][1] + leg.seats
        else:
            legs.append((leg, leg.seats))
    for leg, seats in legs:
        if seats < heads:
            yield "seats_short", leg.line
    ahead = iter(legs)
    place = legs[0][0].origin if legs and ports[0] is None else stops[0] if stops else None
    for stop in stops:
        while place != stop:
            found = next(ahead, None)
            if found is None or found[0].origin != place:
                yield "leg_missing", None
                return
            place = found[0].destination


def _way(leg: TransportLine) -> tuple[object, ...]:
    return leg.departs_on, leg.origin, leg.destination


def _insurance(programme: Programme) -> Iterator[tuple[str, str | None]]:
    policy = programme.insurance
    if policy is None or policy.starts_on > programme.arrival.on or policy.ends_on < programme.departure.on:
        yield "insurance_missing", None


def _ticket(passage: Passage, which: str) -> Iterator[tuple[str, str | None]]:
    if not passage.ticket:
        yield "ticket_missing", which
